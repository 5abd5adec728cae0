"""The API dies after any step of a request about batches; the request is repeated under its key.

Then there is one batch, one effect, one entry of the audit log, and the amounts are counted once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.bearer_keys import CallerLimits
from shared.settings import Settings
from shared.work.kinds import REFUNDS
from tests.conftest import make_settings
from tests.integration import batching as b
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.mortal import Mortal
from tests.loopback import call

Json = dict[str, Any]
SHOP, OPERATOR = "shop-key", "operator-key"
KEYS = make_settings(api_keys=f"shop:{SHOP}", operator_keys=f"kim:{OPERATOR}")
CHANGES = {
    "api_keys": KEYS.api_keys,
    "operator_keys": KEYS.operator_keys,
    "caller_limits": {"shop": CallerLimits(refunds_per_hour={"sgd": 100_000})},
}
ROUTE = "/api/refund/batches"
# The scripts that have the effects of these requests.
EFFECTS = {"batch_record", "batch_turn", "record"}
# More steps than any of these requests has.
MOST_STEPS = 20


@dataclass(frozen=True)
class Request:
    """A request that is sent again and again under one key until it is answered."""

    key: str
    path: str
    body: Json

    def send(self, door: FlaskClient) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": "the same"}
        return door.post(self.path, json=self.body, headers=headers)


Case = Callable[[Hands, FlaskClient], Request]


def started(door: FlaskClient, key: str) -> str:
    """Start a batch of an evening by another request; return its path."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = door.post(ROUTE, json={"event_id": "evening"}, headers=headers)
    return f"{ROUTE}/{answer.get_json()['batch_id']}"


def starts(key: str) -> Case:
    def case(hands: Hands, _: FlaskClient) -> Request:
        b.pay(hands, 2)
        return Request(key, ROUTE, {"event_id": "evening"})

    return case


def pauses(hands: Hands, door: FlaskClient) -> Request:
    b.pay(hands, 2)
    return Request(OPERATOR, f"{started(door, OPERATOR)}/pause", {})


def resumes(hands: Hands, door: FlaskClient) -> Request:
    paused = pauses(hands, door)
    door.post(paused.path, headers={"Authorization": f"Bearer {OPERATOR}"})
    return Request(OPERATOR, paused.path.replace("pause", "resume"), {})


def cancels(hands: Hands, door: FlaskClient) -> Request:
    b.pay(hands, 2)
    return Request(OPERATOR, f"{started(door, OPERATOR)}/cancel", {})


def retries(hands: Hands, door: FlaskClient) -> Request:
    b.pay(hands, 2)
    refunds = {"method": "POST", "path_prefix": "/v1/refunds"}
    hands.break_stripe(match=refunds, kind="error", status=400, times=2)
    path = started(door, OPERATOR)
    b.run(hands, path.rpartition("/")[2])
    return Request(OPERATOR, f"{path}/retry", {})


def retries_late(key: str) -> Case:
    def case(hands: Hands, door: FlaskClient) -> Request:
        b.pay(hands, 1)
        path = started(door, key)
        b.pay(hands, 1)
        b.run(hands, path.rpartition("/")[2])
        return Request(key, f"{path}/retry", {"include": ["late"]})

    return case


def refunds_one(hands: Hands, _: FlaskClient) -> Request:
    (payment,) = b.pay(hands, 1)
    return Request(SHOP, "/api/refund/process", {"payment_intent_id": payment})


CASES = {
    "start": (starts(OPERATOR), 202),
    "start, with a limit": (starts(SHOP), 202),
    "pause": (pauses, 200),
    "resume": (resumes, 200),
    "cancel": (cancels, 200),
    "retry": (retries, 200),
    "retry late": (retries_late(OPERATOR), 200),
    "retry late, with a limit": (retries_late(SHOP), 200),
    "refund, with a limit": (refunds_one, 202),
}


def effects(hands: Hands, door: FlaskClient) -> Json:
    """Run everything to its end, and return all that a caller or a customer notices."""
    store, headers = hands.runtime.store, {"Authorization": f"Bearer {OPERATOR}"}
    batches = door.get(ROUTE, headers=headers).get_json()["data"]
    for batch in batches:
        b.run(hands, batch["batch_id"])
    hands.work()
    payments = hands.client.get("/api/payments").get_json()["data"]
    audit = door.get("/ops/audit", headers=headers).get_json()["data"]
    ends = door.get(ROUTE, headers=headers).get_json()["data"]
    types = [one["type"] for one in hands.notifications() if one["type"].startswith("refund_batch")]
    return {
        "batches": [(batch["state"], batch["counts"]) for batch in ends],
        "refunds": sorted(b.refunded(hands, one["id"]) for one in payments),
        "jobs": store.redis.zcard(store.keys.index(REFUNDS)),
        "audit": Counter(entry["kind"] for entry in audit),
        "counted": sum(map(int, store.hash(store.keys.spending("shop", "sgd")).values())),
        "notified": Counter(types),
    }


@pytest.mark.parametrize("name", CASES)
def test_a_request_that_is_repeated_after_a_death_has_one_effect(
    hands: Hands, settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Upkeep and the workers go on between a death after the effect and the repeat."""
    case, status = CASES[name]
    mortal, right = Mortal(monkeypatch), dict[str, Any]()
    door = open_door(settings.model_copy(update=CHANGES), hands.runtime.store)
    for step in (None, *range(1, MOST_STEPS)):
        call("POST", f"{hands.sandbox}/_sandbox/reset")
        call("DELETE", f"{hands.receiver}/notifications")
        hands.runtime.store.redis.flushall()
        request = case(hands, door)
        mortal.dies_after(step)
        answer = request.send(door)
        steps = mortal.steps
        mortal.dies_after(None)
        if step is None:
            assert answer.status_code == status, answer.get_json()
            right = effects(hands, door)
            continue
        if answer.status_code == status:  # it had fewer steps
            assert EFFECTS & set(steps)
            return
        assert answer.status_code == 500
        if EFFECTS & set(steps):
            b.turn(hands)
        answers = repeated(hands, door, request)
        assert [one.status_code for one in answers] == [status, status], (steps, answers[0].json)
        assert answers[0].get_data() == answers[1].get_data()
        assert effects(hands, door) == right, steps
    raise AssertionError("the request has more steps than this test tries")


def repeated(hands: Hands, door: FlaskClient, request: Request) -> list[TestResponse]:
    """Repeat a request twice, after the lease of the process that died has ended."""
    redis = hands.runtime.store.redis
    for record in redis.scan_iter("*:idempotency:*"):
        redis.hset(record, "lease_until", 1)
    return [request.send(door) for _ in range(2)]
