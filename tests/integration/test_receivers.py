"""The example receivers: they verify real deliveries, store each once and apply them in order."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from examples.receivers.receiver import ENDS, apply
from shared.keys import State
from shared.notification import TYPES, example
from shared.work.kinds import NOTIFICATIONS
from tests.conftest import NOTIFICATION_SECRET
from tests.integration.hands import Hands
from tests.servers import ROOT, free_port, process, wait_until
from worker.runtime import Runtime

Json = dict[str, Any]
EXAMPLES = ROOT / "examples" / "receivers"
PATH = "/api/billing/notifications"
OTHER_SECRET = "whsec_c2Vjb25kLXNlY3JldC1mb3ItdGVzdHM="


@dataclass
class Receiver:
    """A receiver that runs, or can be started again."""

    command: list[str]
    folder: Path
    port: int
    secrets: str = NOTIFICATION_SECRET

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def run(self) -> Any:
        """Run it for the duration of a block."""
        environment = {
            "EVENT_SERVICE_SECRET": self.secrets,
            "PORT": str(self.port),
            "JOURNAL": str(self.folder / "journal.jsonl"),
        }
        log = self.folder / "receiver.log"
        log.write_text("")
        return process(*self.command, environment=environment, log=log)

    def await_start(self) -> None:
        """Wait until it listens."""
        log = self.folder / "receiver.log"
        wait_until(lambda: re.search(r"listening on http", log.read_text()), "the receiver listens")

    def state(self) -> dict[str, Json]:
        """Return its state of every object."""
        response: dict[str, Json] = requests.get(self.url, timeout=5).json()
        return response

    def notifications(self) -> list[Json]:
        """List the notifications in its journal."""
        journal = self.folder / "journal.jsonl"
        lines = journal.read_text().splitlines() if journal.exists() else []
        return [json.loads(line) for line in lines]

    def post(self, body: Json, secret: str = NOTIFICATION_SECRET, **changes: str) -> int:
        """Send it a notification made by the test; return the status of its answer."""
        payload, now = json.dumps(body), datetime.now(UTC)
        signed_at = datetime.fromtimestamp(float(changes.pop("at", now.timestamp())), UTC)
        headers = {
            "webhook-id": body["id"],
            "webhook-timestamp": str(int(signed_at.timestamp())),
            "webhook-signature": Webhook(secret).sign(body["id"], signed_at, payload),
            "Content-Type": "application/json",
        }
        payload = changes.pop("payload", payload)
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        headers = {name: value for name, value in headers.items() if value}
        return requests.post(self.url + PATH, payload, headers=headers, timeout=5).status_code


def built(language: str, folder: Path) -> list[str]:
    """Return the command that starts a receiver; skip when its runtime is not installed."""
    if language == "python":
        return [sys.executable, str(EXAMPLES / "receiver.py")]
    runtime = shutil.which({"node": "node", "go": "go"}[language])
    if runtime is None:
        pytest.skip(f"{language} is not installed here")
    if language == "node":
        return [runtime, str(EXAMPLES / "receiver.mjs")]
    program = folder / "receiver"
    subprocess.run(
        [runtime, "build", "-o", str(program), str(EXAMPLES / "receiver.go")],
        check=True,
        env=os.environ | {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off"},
    )
    return [str(program)]


@pytest.fixture(scope="module", params=["python", "node", "go"])
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build each receiver once."""
    return built(request.param, tmp_path_factory.mktemp("build"))


@pytest.fixture
def stopped(command: list[str], tmp_path: Path) -> Receiver:
    """Return a receiver that has not been started."""
    return Receiver(command, tmp_path, free_port())


@pytest.fixture
def theirs(stopped: Receiver) -> Iterator[Receiver]:
    """Return a running receiver."""
    with stopped.run():
        stopped.await_start()
        yield stopped


@pytest.fixture
def deliver(hands: Hands, stopped: Receiver) -> Iterator[Callable[..., None]]:
    """Return a function that delivers Stripe's events and sends their notifications."""

    def _deliver(*types: str, secret: str = NOTIFICATION_SECRET, **changes: Any) -> None:
        hands.runtime.event_service.close()
        own_settings = {
            "event_service_url": stopped.url,
            "event_service_secret": [SecretStr(secret)],
        }
        hands.runtime = Runtime(
            hands.runtime.settings.model_copy(update=own_settings | changes), hands.runtime.store
        )
        if types:
            hands.deliver_events(*types)
        hands.work()

    yield _deliver
    hands.runtime.event_service.close()


def states(hands: Hands) -> list[str]:
    """List the state of every notification."""
    store, kind = hands.runtime.store, NOTIFICATIONS
    pattern = store.keys.item(kind, "*")
    return sorted(
        str(store.redis.hget(key, "state")) for key in store.redis.scan_iter(pattern, _type="HASH")
    )


def test_a_payment_and_its_refund_are_verified_and_kept_once(
    hands: Hands, theirs: Receiver, deliver: Callable[..., None]
) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.client.post("/api/refund/process", json={"payment_intent_id": payment, "amount": 400})
    hands.work()
    deliver("payment_intent.succeeded", "refund.created", "refund.updated")
    assert set(states(hands)) == {State.DELIVERED}
    refund = next(
        one["data"]["refund_id"] for one in theirs.notifications() if one["data"]["refund_id"]
    )
    assert theirs.state()[payment]["status"] == "succeeded"
    assert theirs.state()[refund]["status"] == "succeeded"
    before = theirs.notifications()
    for one in before:
        hands.client.post(f"/ops/items/{one['id']}/redrive", json={})
    deliver()
    assert set(states(hands)) == {State.DELIVERED}
    assert theirs.notifications() == before


def test_an_older_notification_that_comes_later_changes_no_state(
    hands: Hands, stopped: Receiver, deliver: Callable[..., None]
) -> None:
    payment = hands.pay("pm_card_threeDSecure2Required").get_json()["payment_intent_id"]
    deliver("payment_intent.requires_action", notification_max_age_seconds=0)
    assert states(hands) == [State.DEAD]
    requests.post(
        f"{hands.sandbox}/_sandbox/payment_intents/{payment}/authenticate",
        json={"outcome": "complete"},
        timeout=5,
    ).raise_for_status()
    with stopped.run():
        stopped.await_start()
        deliver("payment_intent.succeeded", notification_max_age_seconds=600)
        (letter,) = hands.client.get("/ops/dead-letters").get_json()["data"]
        hands.client.post(f"/ops/items/{letter['id']}/redrive", json={})
        deliver()
        assert set(states(hands)) == {State.DELIVERED}
        types = [one["type"] for one in stopped.notifications()]
        assert types == ["payment.succeeded", "payment.requires_action"]
        assert stopped.state()[payment]["type"] == "payment.succeeded"


def test_a_wrong_signature_is_refused_and_nothing_is_kept(
    hands: Hands, theirs: Receiver, deliver: Callable[..., None]
) -> None:
    hands.pay()
    deliver("payment_intent.succeeded", secret=OTHER_SECRET, retry_base_seconds=3600.0)
    assert states(hands) == [State.RETRYING]
    assert theirs.notifications() == []
    body, now = example("payment.succeeded"), time.time()
    assert theirs.post(body, payload=json.dumps(body | {"type": "payment.failed"})) == 401
    assert theirs.post(body, at=str(now - 600)) == 401
    assert theirs.post(body, at=str(now + 600)) == 401
    assert theirs.post(body, webhook_id="ntf_another") == 401
    for missing in ("webhook_id", "webhook_timestamp", "webhook_signature"):
        assert theirs.post(body, **{missing: ""}) == 401
    assert theirs.post(body, webhook_timestamp="soon") == 401
    assert theirs.notifications() == []
    assert theirs.post(body) == 200
    assert len(theirs.notifications()) == 1


def test_during_a_rotation_either_secret_counts(stopped: Receiver) -> None:
    stopped.secrets = f"{NOTIFICATION_SECRET},{OTHER_SECRET}"
    with stopped.run():
        stopped.await_start()
        body = example("payment.succeeded")
        assert stopped.post(body, secret=OTHER_SECRET) == 200
        assert stopped.post(body, secret=NOTIFICATION_SECRET) == 200
        foreign = Webhook(OTHER_SECRET.replace("c2", "d2")).sign("x", datetime.now(UTC), "x")
        assert stopped.post(body, webhook_signature=f"v2,abc {foreign}") == 401


def test_every_type_is_taken_and_one_it_does_not_know(theirs: Receiver) -> None:
    for number, name in enumerate([*TYPES, "payment.of_tomorrow", "tomorrow.itself"]):
        body = example(name if name in TYPES else "test.notification")
        assert theirs.post(body | {"id": f"ntf_{number}", "type": name}) == 200
    assert len(theirs.notifications()) == len(TYPES) + 2
    data = example("dispute.won")["data"]
    batch = example("refund_batch.started")["data"]["refund_batch_id"]
    objects = {
        batch,
        "ch_3QxYzA",
        "re_3QxYzA",
        "du_1QxYzA",
        "cs_test_a1",
        "issfr_1QxYzA",
        "prv_1QxYzA",
    }
    books = {"fee:ch_3QxYzA", f"funds:{data['dispute_id']}"}
    assert set(theirs.state()) == objects - {"ch_3QxYzA"} | {"pi_3QxYzA"} | books


def test_in_any_order_the_state_is_that_of_the_rule(theirs: Receiver) -> None:
    """tests/integration/test_convergence.py checks the rule itself with real notifications."""
    dice = random.Random(17)
    target: dict[str, Json] = {}
    for number in range(200):
        one = dice.randrange(16)
        # Half of the objects never reach an end.
        body = example(dice.choice([name for name in TYPES if one % 2 or name not in ENDS]))
        second = f"2026-11-22T10:00:0{dice.randrange(3)}Z"
        body |= {"id": f"ntf_{number}", "timestamp": second, "sequence": dice.randrange(1, 9)}
        ids = {name: f"{value}{one}" for name, value in body["data"].items() if name[-3:] == "_id"}
        body["data"] |= {name: value for name, value in ids.items() if body["data"][name]}
        apply(target, body)
        assert theirs.post(body) == 200
    state = theirs.state()
    assert {key: one["type"] for key, one in state.items()} == {
        key: one["type"] for key, one in target.items()
    }


def test_what_was_kept_outlives_a_kill_and_a_torn_line(stopped: Receiver) -> None:
    body = example("payment.succeeded")
    with stopped.run() as running:
        stopped.await_start()
        assert stopped.post(body) == 200
        running.send_signal(signal.SIGKILL)
        running.wait()
    with (stopped.folder / "journal.jsonl").open("a") as journal:
        journal.write('{"id": "ntf_torn", "ty')
    with stopped.run():
        stopped.await_start()
        assert stopped.post(body) == 200
        assert [one["id"] for one in stopped.notifications()] == [body["id"]]
        assert stopped.post(body | {"id": "ntf_torn"}) == 200
        assert len(stopped.notifications()) == 2


def test_one_id_at_the_same_moment_is_kept_once(theirs: Receiver) -> None:
    body = example("payment.succeeded")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: theirs.post(body), range(24)))
    assert set(answers) == {200}
    assert len(theirs.notifications()) == 1


def test_what_is_no_notification_is_refused(theirs: Receiver) -> None:
    body = example("payment.succeeded")
    assert theirs.post({"id": "ntf_1", "type": "payment.succeeded"}) in (200, 400)
    wrong = json.dumps(body)
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "ntf_other",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(NOTIFICATION_SECRET).sign("ntf_other", now, wrong),
    }
    assert requests.post(theirs.url + PATH, wrong, headers=headers, timeout=5).status_code == 400
    assert requests.post(theirs.url + "/other", wrong, headers=headers, timeout=5).ok is False
    assert body["id"] not in {one["id"] for one in theirs.notifications()}
