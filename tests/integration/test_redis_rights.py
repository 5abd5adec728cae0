"""A Redis user with few rights: which are enough, and the message for each missing one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from redis import Redis
from redis.exceptions import NoPermissionError

from api.metrics import families
from shared.errors import Unavailable
from shared.keys import Keys
from shared.settings import Settings
from shared.store.connection import open_store
from shared.store.durability import ensure_durable, inspect
from shared.store.scripts import Store
from shared.work.kinds import EVENTS
from shared.work.liveness import pulse
from tests.conftest import make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.servers import free_ports, process, wait_until
from worker import payment_index
from worker.relay import run_once
from worker.runtime import Runtime

# The lines of docs/runbook.md, for each process.
KEYS = "~{billing}:* %R~billing:*"
COMMANDS = "-@all +@read +@write +@connection +@transaction"
SCRIPTS = "+eval +evalsha +script|load +script|exists +time"
LAST = "-@dangerous -keys"
STORE = [f"{KEYS} {COMMANDS} -@blocking", f"{SCRIPTS} +wait {LAST} +info"]
RIGHTS = {
    "api": STORE,
    "upkeep": STORE,
    "worker": [f"{KEYS} &* {COMMANDS} +@pubsub", f"{SCRIPTS} +wait {LAST} +info"],
    "flower": [
        "%R~{billing}:* ~{billing}:_kombu.* ~{billing}:celeryev.* ~{billing}:*.reply.celery.pidbox",
        f"&* {COMMANDS} +@pubsub {SCRIPTS} {LAST}",
    ],
}
RUNBOOK = Path(__file__).resolve().parents[2] / "docs/runbook.md"


@pytest.fixture
def users(valkey_url: str) -> Iterator[dict[str, str]]:
    """Return the URL of a Redis user for each process, with its documented rights only."""
    port = urlsplit(valkey_url).port
    with Redis.from_url(valkey_url) as redis:
        for name, lines in RIGHTS.items():
            rights = " ".join(lines).split()
            redis.execute_command("ACL", "SETUSER", name, "on", ">secret", *rights)
        redis.execute_command("ACL", "LOG", "RESET")
        yield {name: f"redis://{name}:secret@127.0.0.1:{port}/0" for name in RIGHTS}
        redis.execute_command("ACL", "DELUSER", *RIGHTS)


@pytest.fixture
def as_user(users: dict[str, str]) -> str:
    """Return the URL of the API's Redis user."""
    return users["api"]


def refusals(valkey_url: str) -> set[str]:
    """List the refused commands by user, except CONFIG, which is tried and not needed."""
    with Redis.from_url(valkey_url, decode_responses=True) as redis:
        log = redis.acl_log()
    return {f"{one['username']}: {one['object']}" for one in log if one["object"] != "config|get"}


@pytest.fixture
def user_store(as_user: str) -> Iterator[Store]:
    store = open_store(make_settings(redis_url=as_user), "tests")
    yield store
    store.redis.close()


def take(valkey_url: str, *rights: str) -> None:
    with Redis.from_url(valkey_url) as redis:
        redis.execute_command("ACL", "SETUSER", "api", *rights)


def test_the_documented_rights_are_enough_for_each_part(
    users: dict[str, str], settings: Settings, sandbox: str, receiver: str, valkey_url: str
) -> None:
    of = {name: settings.model_copy(update={"redis_url": url}) for name, url in users.items()}
    stores = {name: open_store(of[name], "tests") for name in ("api", "worker", "upkeep")}
    runtime = Runtime(of["worker"], stores["worker"])
    hands = Hands(open_door(of["api"], stores["api"]), runtime, sandbox, receiver)
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    hands.work()
    run_once(stores["upkeep"])
    pulse(stores["upkeep"])
    payment_index.run_once(runtime)
    assert hands.client.get("/api/payments").get_json()["data"]
    for names in ("/ops/queues", "/ops/events", "/ops/dead-letters", "/metrics"):
        assert hands.client.get(names).status_code == 200
    assert "payment.succeeded" in hands.notified_types()
    for store in stores.values():
        assert not [finding for finding in inspect(store) if "NOPERM" in finding.what]
        store.redis.close()
    runtime.event_service.close()
    assert refusals(valkey_url) == set()


def test_the_documented_rights_are_enough_for_the_processes(
    users: dict[str, str], valkey_url: str, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    settings = {
        "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
        "WORKER_QUEUES": "events",
        "BILLING_ENV_FILE": "",
    }
    commands = {
        "worker": ["worker"],
        "upkeep": ["worker.upkeep"],
        "flower": ["worker.flower", "--address=127.0.0.1", f"--port={port}"],
    }
    with ExitStack() as stack, Redis.from_url(valkey_url) as redis:
        for name, command in commands.items():
            environment = settings | {"REDIS_URL": users[name]}
            arguments = [sys.executable, "-m", *command]
            log = tmp_path / f"{name}.log"
            stack.enter_context(process(*arguments, environment=environment, log=log))
        queue = Keys().queue(EVENTS)
        redis.lpush(queue, EVENTS.message.replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag"))
        wait_until(lambda: redis.llen(queue) == 0, "the worker reads the bell")
        wait_until(partial(seen_by_flower, port), "Flower hears of the worker")
    assert refusals(valkey_url) == set()


def seen_by_flower(port: int) -> Any:
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/workers?json=1", timeout=5)
    except requests.ConnectionError:
        return None
    return answer.json()["data"]


@pytest.mark.parametrize(("user", "command"), [("api", "BRPOP"), ("flower", "LPUSH")])
def test_a_process_may_not_do_anothers_work(users: dict[str, str], user: str, command: str) -> None:
    with Redis.from_url(users[user]) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(command, Keys().queue(EVENTS), "1")


@pytest.mark.parametrize("name", RIGHTS)
def test_the_documented_rights_are_in_the_runbook(name: str) -> None:
    first, second = RIGHTS[name]
    assert f"{first} \\\n        {second}" in RUNBOOK.read_text()


def test_a_missing_right_is_named(user_store: Store, valkey_url: str) -> None:
    take(valkey_url, "-hgetall")
    with pytest.raises(Unavailable, match=r"NOPERM.*hgetall"):
        user_store.hash("{billing}:x")


def test_a_wrong_password_is_named(as_user: str) -> None:
    store = open_store(make_settings(redis_url=as_user.replace("secret", "wrong")), "tests")
    with pytest.raises(Unavailable, match="WRONGPASS"):
        store.now_ms()


def test_a_user_who_may_not_ask_for_info_is_told_so_and_has_metrics(
    user_store: Store, valkey_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    take(valkey_url, "-info")
    (finding,) = inspect(user_store)
    assert (finding.level, "NOPERM" in finding.what) == ("warning", True)
    measurements = {metric.name: metric for metric in families(user_store)}
    levels = {s.labels["level"]: s.value for s in measurements["billing_store_findings"].samples}
    assert levels == {"warning": 1.0, "error": 0.0}
    assert measurements["billing_store_memory_bytes"].samples == []
    ensure_durable(user_store, make_settings())
