"""A Redis user with few rights: what is enough, and how each missing one is named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from api.metrics import collected
from shared.errors import Unavailable
from shared.keys import Keys
from shared.settings import Settings
from shared.store.connection import open_store
from shared.store.durability import ensure_durable, inspect
from shared.store.scripts import Store
from shared.work.kinds import EVENTS
from tests.conftest import make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.servers import process, wait_until
from worker import payment_index
from worker.relay import run_once
from worker.runtime import Runtime

# The line of docs/runbook.md.
RIGHTS = "~{billing}:* %R~billing:* &* -@all +@read +@write +@connection +@pubsub +@transaction"
COMMANDS = "+eval +evalsha +script|load +time +wait +info -@dangerous +info -keys"
RUNBOOK = Path(__file__).resolve().parents[2] / "docs/runbook.md"


@pytest.fixture
def as_user(valkey_url: str) -> Iterator[str]:
    """Give the URL of a user who has the documented rights and no more."""
    with Redis.from_url(valkey_url) as redis:
        rights = f"{RIGHTS} {COMMANDS}".split()
        redis.execute_command("ACL", "SETUSER", "billing", "on", ">secret", *rights)
        yield f"redis://billing:secret@127.0.0.1:{urlsplit(valkey_url).port}/0"
        redis.execute_command("ACL", "DELUSER", "billing")


@pytest.fixture
def user_store(as_user: str) -> Iterator[Store]:
    store = open_store(make_settings(redis_url=as_user), "tests")
    yield store
    store.redis.close()


def take(valkey_url: str, *rights: str) -> None:
    with Redis.from_url(valkey_url) as redis:
        redis.execute_command("ACL", "SETUSER", "billing", *rights)


def test_the_documented_rights_are_enough_for_the_whole_service(
    as_user: str, settings: Settings, sandbox: str, receiver: str
) -> None:
    changed = settings.model_copy(update={"redis_url": as_user})
    store = open_store(changed, "tests")
    runtime = Runtime(changed, store)
    hands = Hands(open_door(changed, store), runtime, sandbox, receiver)
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    hands.work()
    run_once(store)
    payment_index.run_once(runtime)
    assert hands.client.get("/api/payments").get_json()["data"]
    assert "payment.succeeded" in hands.told()
    assert not [finding for finding in inspect(store) if "NOPERM" in finding.what]
    runtime.event_service.close()
    store.redis.close()


def test_the_documented_rights_are_enough_for_a_worker(
    as_user: str, valkey_url: str, tmp_path: Path
) -> None:
    environment = {
        "REDIS_URL": as_user,
        "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
        "WORKER_QUEUES": "events",
        "BILLING_ENV_FILE": "",
    }
    log = tmp_path / "worker.log"
    with (
        process(sys.executable, "-m", "worker", environment=environment, log=log),
        Redis.from_url(valkey_url) as redis,
    ):
        queue = Keys().queue(EVENTS)
        redis.lpush(queue, EVENTS.message.replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag"))
        wait_until(lambda: redis.llen(queue) == 0, "the worker reads the bell")
    assert "NOPERM" not in log.read_text()
    assert "permission" not in log.read_text()


def test_the_documented_rights_are_in_the_runbook() -> None:
    assert f"{RIGHTS} \\\n        {COMMANDS}" in RUNBOOK.read_text()


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
    found = {metric.name: metric for metric in collected(user_store)}
    levels = {s.labels["level"]: s.value for s in found["billing_store_findings"].samples}
    assert levels == {"warning": 1.0, "error": 0.0}
    assert found["billing_store_memory_bytes"].samples == []
    ensure_durable(user_store, make_settings())
