"""Calls to Stripe whose answer was lost: the outcome is looked up, and nothing is done twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from shared.errors import PaymentDeclined, Unavailable
from shared.keys import Keys
from shared.stripe.gateway import StripeGateway
from shared.work.kinds import REFUNDS
from shared.work.outcomes import SKEW_SECONDS, object_in_events
from shared.work.refund_jobs import stripe_key
from tests.integration.hands import Hands
from worker.jobs import JOBS
from worker.refunding import SAFE_TO_REPEAT_SECONDS
from worker.run import run

Json = dict[str, Any]
REFUND, PAYMENT = "/v1/refunds", "/v1/payment_intents"
BODY = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}


def break_stripe(hands: Hands, path: str, **fault: Any) -> None:
    hands.break_stripe(**({"method": "POST", "path_prefix": path, "times": 1} | fault))


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.stripe.translation.RETRY_AFTER_SECONDS", 1)


@pytest.fixture
def payment(hands: Hands) -> str:
    payment: str = hands.pay().get_json()["payment_intent_id"]
    return payment


def queued(hands: Hands, payment: str, **fields: Any) -> str:
    body = {"payment_intent_id": payment, "amount": 400} | fields
    job: str = hands.client.post("/api/refund/process", json=body).get_json()["refund_request_id"]
    return job


def pay(hands: Hands, key: str = "the one", method: str = "pm_card_visa") -> TestResponse:
    body = BODY | {"payment_method": method}
    headers = {"Idempotency-Key": key}
    return hands.client.post("/api/payment/process", json=body, headers=headers)


def refunds_at_stripe(hands: Hands, payment: str) -> list[int]:
    return [item["amount"] for item in hands.runtime.gateway.refunds_of(payment_intent=payment)]


def charges_at_stripe(hands: Hands) -> int:
    return [event["type"] for event in hands.events()].count("charge.succeeded")


def state(hands: Hands, job: str) -> str:
    fields = hands.runtime.refund_jobs.read(job)
    return "failed" if "failure_code" in fields else fields["state"]


CUT_BEFORE, CUT_AFTER = ({"kind": "disconnect", "phase": when} for when in ("before", "after"))
# Errors that Stripe stores under the key and repeats for 24 hours: it failed before or after it
# made the object.
FAULT_BEFORE, FAULT_AFTER = (
    {"kind": "error", "status": 500, "phase": when} for when in ("during", "after")
)
CUT = [
    CUT_BEFORE,
    CUT_AFTER,
    FAULT_AFTER,
    {"kind": "error", "status": 503, "phase": "before", "retry_after": 0},
    {"kind": "error", "status": 429, "phase": "before", "retry_after": 0},
]
NAMES = ["cut before", "cut after", "500 after it acted", "503", "429"]


@pytest.mark.parametrize("fault", CUT, ids=NAMES)
def test_a_refund_whose_answer_is_lost_is_made_once(
    hands: Hands, payment: str, fault: Json
) -> None:
    break_stripe(hands, REFUND, **fault)
    job = queued(hands, payment)
    hands.work()
    assert refunds_at_stripe(hands, payment) == [400]
    assert state(hands, job) == "finished"
    assert int(hands.runtime.refund_jobs.read(job)["attempts"]) == 2


@pytest.mark.parametrize("fault", CUT, ids=NAMES)
def test_a_payment_whose_answer_is_lost_is_charged_once(hands: Hands, fault: Json) -> None:
    break_stripe(hands, PAYMENT, **(fault | {"times": 2}))
    answers = [pay(hands) for _ in range(3)]
    assert [a.status_code for a in answers if a.status_code not in (200, 503)] == []
    assert answers[-1].status_code == 200
    assert charges_at_stripe(hands) == 1
    assert answers[-1].get_json()["status"] == "succeeded"


def test_a_refund_behind_an_error_that_stripe_repeats_is_found_in_its_events(
    hands: Hands, payment: str
) -> None:
    break_stripe(hands, REFUND, **FAULT_AFTER)
    job = queued(hands, payment)
    hands.work()
    fields = hands.runtime.refund_jobs.read(job)
    assert refunds_at_stripe(hands, payment) == [400]
    assert fields["state"] == "finished"
    assert fields["refund_id"].startswith("re_")
    assert hands.runtime.refund_jobs.job_of(fields["refund_id"]) == job


def test_a_refund_is_known_from_its_event_before_stripe_is_asked_again(
    hands: Hands, payment: str
) -> None:
    break_stripe(hands, REFUND, **FAULT_AFTER)
    job = queued(hands, payment)
    run(JOBS["refunds"], hands.runtime, job)
    assert state(hands, job) == "retrying"
    hands.deliver_events("payment_intent.succeeded", "refund.created")
    (refund,) = hands.runtime.gateway.refunds_of(payment_intent=payment)
    hands.work()
    assert state(hands, job) == "finished"
    assert hands.runtime.outcomes.remembered(stripe_key(job)) == str(refund["id"])
    assert hands.client.get(f"/api/refund/{refund['id']}").get_json()["refund_request_id"] == job
    assert hands.notified_types() == ["payment.succeeded", "refund.succeeded"]


def test_a_refund_job_does_not_wait_for_its_next_try_when_its_event_came(
    hands: Hands, payment: str
) -> None:
    break_stripe(hands, REFUND, **FAULT_AFTER)
    job = queued(hands, payment)
    run(JOBS["refunds"], hands.runtime, job)
    store = hands.runtime.store
    hour_ms = 3_600_000
    in_an_hour = store.now_ms() + hour_ms
    pause = {"not_before": in_an_hour, "delay_ms": hour_ms}
    store.redis.hset(store.keys.item(REFUNDS, job), mapping=pause)
    store.redis.zadd(store.keys.due(REFUNDS), {job: in_an_hour})
    while hands.ring():
        pass
    assert state(hands, job) == "retrying"
    hands.deliver_events("payment_intent.succeeded", "refund.created")
    while hands.ring():
        pass
    assert hands.client.get(f"/api/refund/{job}").get_json()["status"] == "succeeded"
    assert state(hands, job) == "finished"
    assert refunds_at_stripe(hands, payment) == [400]


def test_an_error_that_hides_no_refund_is_no_failure(hands: Hands, payment: str) -> None:
    break_stripe(hands, REFUND, **FAULT_BEFORE)
    job = queued(hands, payment)
    for _ in range(6):
        hands.runtime.store.redis.hdel(hands.runtime.store.keys.item(REFUNDS, job), "not_before")
        run(JOBS["refunds"], hands.runtime, job)
    assert refunds_at_stripe(hands, payment) == []
    assert state(hands, job) == "retrying"
    assert hands.client.get(f"/api/refund/{job}").get_json()["status"] != "failed"
    assert "refund.failed" not in hands.notified_types()


def test_a_refusal_that_our_own_refund_caused_is_not_believed(hands: Hands, payment: str) -> None:
    break_stripe(hands, REFUND, kind="disconnect", phase="after")
    job = queued(hands, payment, amount=1000)
    run(JOBS["refunds"], hands.runtime, job)
    forget_keys(hands)
    hands.work()
    assert refunds_at_stripe(hands, payment) == [1000]
    assert state(hands, job) == "finished"
    assert "refund.failed" not in hands.notified_types()


def forget_keys(hands: Hands) -> None:
    """Let a day pass at Stripe only, so that it deletes its idempotency keys."""
    day = {"advance_seconds": 86_401}
    requests.post(f"{hands.sandbox}/_sandbox/clock", json=day, timeout=5).raise_for_status()


def age(hands: Hands, job: str, seconds: int) -> None:
    """Make a job this much older."""
    redis, name = hands.runtime.store.redis, Keys().item(REFUNDS, job)
    for moment in ("recorded_at", "first_attempt_at"):
        if redis.hexists(name, moment):
            redis.hincrby(name, moment, -seconds * 1000)
    redis.hdel(name, "not_before")


@pytest.mark.parametrize("fault", [CUT_AFTER, FAULT_AFTER], ids=["cut", "500"])
def test_a_job_older_than_stripes_memory_finds_its_refund(
    hands: Hands, payment: str, fault: Json
) -> None:
    break_stripe(hands, REFUND, **fault)
    job = queued(hands, payment)
    run(JOBS["refunds"], hands.runtime, job)
    forget_keys(hands)
    age(hands, job, SAFE_TO_REPEAT_SECONDS + 60)
    run(JOBS["refunds"], hands.runtime, job)
    assert refunds_at_stripe(hands, payment) == [400]
    assert state(hands, job) == "finished"


@pytest.mark.parametrize("fault", [CUT_BEFORE, FAULT_BEFORE], ids=["cut", "500"])
def test_a_job_older_than_stripes_memory_is_left_to_a_person(
    hands: Hands, payment: str, fault: Json
) -> None:
    break_stripe(hands, REFUND, **fault)
    job = queued(hands, payment)
    run(JOBS["refunds"], hands.runtime, job)
    age(hands, job, SAFE_TO_REPEAT_SECONDS + 60)
    run(JOBS["refunds"], hands.runtime, job)
    assert refunds_at_stripe(hands, payment) == []
    assert state(hands, job) == "dead"


@pytest.mark.parametrize(
    "fault",
    [CUT_BEFORE, CUT_AFTER, FAULT_BEFORE, FAULT_AFTER],
    ids=["cut before", "cut after", "500, not made", "500, made"],
)
def test_a_person_who_redrives_an_old_job_never_refunds_twice(
    hands: Hands, payment: str, fault: Json
) -> None:
    break_stripe(hands, REFUND, **fault)
    job = queued(hands, payment)
    run(JOBS["refunds"], hands.runtime, job)
    forget_keys(hands)
    age(hands, job, SAFE_TO_REPEAT_SECONDS + 60)
    redis = hands.runtime.store.redis
    redis.hset(
        Keys().item(REFUNDS, job), mapping={"redriven_at": int(time.time() * 1000), "attempts": 0}
    )
    redis.hdel(Keys().item(REFUNDS, job), "first_attempt_at")
    run(JOBS["refunds"], hands.runtime, job)
    assert refunds_at_stripe(hands, payment) == [400]
    assert state(hands, job) == "finished"


def test_a_payment_behind_an_error_that_stripe_repeats_is_found(hands: Hands) -> None:
    break_stripe(hands, PAYMENT, **FAULT_AFTER)
    answers = [pay(hands), pay(hands)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert charges_at_stripe(hands) == 1


def test_a_payment_behind_a_repeated_error_is_known_from_its_event(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_stripe(hands, PAYMENT, **FAULT_AFTER)
    monkeypatch.setattr("api.outcome.object_in_events", lambda *_: None)
    assert pay(hands).status_code == 503
    hands.deliver_events("payment_intent.created")
    hands.work()
    assert pay(hands).get_json()["status"] == "succeeded"
    assert charges_at_stripe(hands) == 1


def test_a_decline_behind_a_repeated_error_is_a_decline(hands: Hands) -> None:
    break_stripe(hands, PAYMENT, **FAULT_AFTER)
    answer = pay(hands, method="pm_card_chargeDeclinedInsufficientFunds")
    body = answer.get_json()
    assert (answer.status_code, body["decline_code"]) == (
        PaymentDeclined.status,
        "insufficient_funds",
    )
    assert body["payment_intent_id"].startswith("pi_")


def test_a_payment_that_was_never_made_stays_unknown(hands: Hands) -> None:
    forever = {"kind": "error", "status": 500, "phase": "before", "times": None}
    break_stripe(hands, PAYMENT, **forever)
    assert [pay(hands).status_code for _ in range(2)] == [503, 503]
    requests.delete(f"{hands.sandbox}/_sandbox/faults", timeout=5).raise_for_status()
    assert pay(hands).status_code == 200
    assert charges_at_stripe(hands) == 1


def test_a_payment_that_stripe_failed_to_make_is_unknown_for_a_day_at_most(hands: Hands) -> None:
    break_stripe(hands, PAYMENT, **FAULT_BEFORE)
    assert [pay(hands).status_code for _ in range(2)] == [503, 503]
    redis = hands.runtime.store.redis
    (record,) = redis.keys("{billing}:idempotency:*")
    redis.hincrby(record, "begun_at", -SAFE_TO_REPEAT_SECONDS * 1000)
    late = pay(hands)
    assert (late.status_code, late.get_json()["code"]) == (409, "idempotency_key_expired")
    assert pay(hands, "a new one").status_code == 200
    assert charges_at_stripe(hands) == 1


def test_somebody_elses_request_is_not_taken_for_ours(hands: Hands, payment: str) -> None:
    break_stripe(hands, REFUND, **FAULT_AFTER)
    job = queued(hands, payment)
    run(JOBS["refunds"], hands.runtime, job)
    hands.runtime.gateway.create_refund(
        params={"payment_intent": payment, "amount": 100}, idempotency_key="a colleague's"
    )
    other = hands.runtime.gateway.refunds_of(payment_intent=payment)[0]
    hands.work()
    refund_id = hands.runtime.refund_jobs.read(job)["refund_id"]
    hands.deliver_events()
    hands.work()
    assert hands.runtime.gateway.refund(refund_id)["amount"] == 400
    assert hands.runtime.refund_jobs.job_of(str(other["id"])) is None


def test_more_events_than_can_be_read_prove_nothing(
    hands: Hands, payment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.work.outcomes.MAX_PAGES", 1)
    gateway, events = hands.runtime.gateway, StripeGateway.events
    refund = gateway.create_refund(params={"payment_intent": payment}, idempotency_key="the one")

    def paged(stripe: StripeGateway, *_: Any, **filters: Any) -> Iterator[list[Json]]:
        yield []
        yield from events(stripe, **filters)

    monkeypatch.setattr(StripeGateway, "events", paged)
    with pytest.raises(Unavailable, match="outcome_unknown"):
        object_in_events(gateway, "the one", "refund", time.time())
    monkeypatch.setattr("shared.work.outcomes.MAX_PAGES", 5)
    assert object_in_events(gateway, "the one", "refund", time.time()) == refund["id"]


def test_an_event_is_found_although_stripes_clock_is_behind(hands: Hands, payment: str) -> None:
    gateway = hands.runtime.gateway
    refund = gateway.create_refund(params={"payment_intent": payment}, idempotency_key="the one")
    for ahead, answer in ((SKEW_SECONDS - 60, refund["id"]), (SKEW_SECONDS + 60, None)):
        begun_at = time.time() + ahead
        assert object_in_events(gateway, "the one", "refund", begun_at) == answer


def test_what_a_call_made_is_remembered_longer_than_stripe_repeats_its_answer(
    hands: Hands, payment: str
) -> None:
    job = queued(hands, payment)
    run(JOBS["refunds"], hands.runtime, job)
    store = hands.runtime.store
    store.redis.hdel(store.keys.item(REFUNDS, job), "refund_id")
    hands.deliver_events("refund.created")
    hands.work()
    assert store.redis.ttl(store.keys.made(stripe_key(job))) > SAFE_TO_REPEAT_SECONDS + 3600
