"""Batches of refunds: recorded in one step, counted exactly, each payment refunded once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.stripe.gateway import StripeGateway
from shared.work.batches import Batches, member_job_id
from shared.work.refund_jobs import stripe_key
from tests.integration import batching as b
from tests.integration.hands import Hands
from tests.loopback import call
from worker import refund_batches, refunding

Json = dict[str, Any]


def counts(batch: Json) -> Json:
    return {state: count for state, count in batch["counts"].items() if count}


def test_all_payments_of_an_event_are_refunded_once_and_told(hands: Hands) -> None:
    payments = b.pay(hands, 3)
    other = b.pay(hands, 1, event_id="matinee")
    batch = b.started(hands, event_id="evening", metadata={"because": "rain"})
    state = b.run(hands, batch)

    assert (state["state"], counts(state)) == ("completed", {"refunded": 3})
    assert state["amounts"] == {"sgd": {"refunded": 3000}}
    assert (state["total"], state["done"]) == (3, 3)
    assert [b.refunded(hands, one) for one in payments] == [[1000]] * 3
    assert b.refunded(hands, other[0]) == []
    hands.deliver_events()
    hands.work()
    assert hands.notified_types().count("refund.succeeded") == 3
    notifications = b.told_of(hands, batch)
    assert [body["type"] for body in notifications] == [
        "refund_batch.started",
        "refund_batch.completed",
    ]
    assert notifications[0]["data"]["counts"]["not_begun"] == 3
    assert notifications[1]["data"]["counts"]["refunded"] == 3
    assert notifications[1]["data"]["event_id"] == "evening"
    assert [body["sequence"] for body in notifications] == [1, 2]


def test_a_member_is_a_refund_as_any_other(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment], reason="duplicate", metadata={"a": "b"})
    b.run(hands, batch)
    (member,) = b.members(hands, batch)
    assert (member["payment_id"], member["status"]) == (payment, "refunded")
    refund = hands.client.get(f"/api/refund/{member['refund_request_id']}").get_json()
    assert refund["refund_id"] == member["refund_id"]
    assert (refund["reason"], refund["metadata"]) == ("duplicate", {"a": "b"})


def test_the_same_key_starts_one_batch(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    first = b.start(hands, key="k", payments=[payment])
    again = b.start(hands, key="k", payments=[payment])
    assert first.get_json() == again.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert b.start(hands, key="k", event_id="evening").status_code == 422


def test_a_dry_run_says_what_would_happen_and_does_nothing(hands: Hands) -> None:
    b.set_balance(hands, settlement_currency=None)
    payments = b.pay(hands, 2) + b.pay(hands, 1, currency="jpy", amount=500)
    hold = hands.pay("pm_card_chargeDeclined", metadata={"event_id": "evening"})
    assert hold.status_code == 402
    b.hear(hands)
    b.set_balance(hands, currency="sgd", available=1500)
    answer = b.start(hands, event_id="evening", percent=50, dry_run=True)
    assert answer.status_code == 200
    state = answer.get_json()
    assert state["payments"] == 3
    assert state["amounts"] == {"sgd": 1000, "jpy": 250}
    assert state["left_out"] == {"not_captured": 1}
    funds = {one["currency"]: one for one in state["funds"]}
    assert funds["sgd"] == {"currency": "sgd", "needed": 1000, "available": 1500, "missing": 0}
    assert funds["jpy"]["needed"] == 250
    assert [b.refunded(hands, one) for one in payments] == [[], [], []]
    assert hands.client.get("/api/refund/batches").get_json()["data"] == []


@pytest.mark.parametrize(
    ("card", "reason"),
    [("pm_card_createDispute", "disputed"), ("pm_card_visa", "already_refunded")],
)
def test_what_cannot_be_refunded_is_left_out_and_listed(
    hands: Hands, card: str, reason: str
) -> None:
    (good,) = b.pay(hands, 1)
    (bad,) = b.pay(hands, 1, payment_method=card)
    if reason == "already_refunded":
        hands.client.post("/api/refund/process", json={"payment_intent_id": bad})
        hands.work()
        b.hear(hands)
    batch = b.started(hands, payments=[good, bad, "pi_unknown"])
    state = b.run(hands, batch)
    assert counts(state) == {"refunded": 1, "left_out": 2}
    left_out = {
        one["payment_id"]: one["reason"] for one in b.members(hands, batch, status="left_out")
    }
    assert left_out == {bad: reason, "pi_unknown": "unknown_payment"}


def test_a_payment_refunded_by_hand_meanwhile_is_left_out_as_stripe_says(hands: Hands) -> None:
    first, second = b.pay(hands, 2)
    batch = b.started(hands, payments=[first, second])
    b.refund_at_stripe(hands, first, 1000)  # the webhooks have not arrived: only Stripe knows
    state = b.run(hands, batch)
    assert counts(state) == {"refunded": 1, "left_out": 1}
    (member,) = b.members(hands, batch, status="left_out")
    assert (member["payment_id"], member["reason"]) == (first, "already_refunded")
    assert b.refunded(hands, first) == [1000]


@pytest.mark.parametrize("event_came", [True, False])
def test_a_payment_disputed_meanwhile_is_left_out(hands: Hands, event_came: bool) -> None:
    """Known from its event, or from Stripe's answer before the event has arrived."""
    (good,) = b.pay(hands, 1)
    metadata = {"event_id": "evening"}
    payment = hands.pay("pm_card_createDispute", metadata=metadata).get_json()
    disputed = payment["payment_intent_id"]
    hands.deliver_events("payment_intent.succeeded")
    hands.work()
    batch = b.started(hands, event_id="evening")
    if event_came:
        b.hear(hands)
    assert counts(b.run(hands, batch)) == {"refunded": 1, "left_out": 1}
    (member,) = b.members(hands, batch, status="left_out")
    assert (member["payment_id"], member["reason"]) == (disputed, "disputed")
    assert b.refunded(hands, disputed) == []
    assert b.refunded(hands, good) == [1000]


@pytest.mark.parametrize("event_came", [True, False])
def test_of_a_payment_refunded_in_part_meanwhile_the_rest_goes_back(
    hands: Hands, event_came: bool
) -> None:
    """At once, or after Stripe refused the whole, when its event has not come.

    A refund of this service is known before its events; this one was made at Stripe's dashboard.
    """
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment])
    b.post(hands, batch, "pause")
    b.refund_at_stripe(hands, payment, 400)
    if event_came:
        b.hear(hands)
    b.post(hands, batch, "resume")
    state = b.run(hands, batch)
    assert (counts(state), state["amounts"]) == ({"refunded": 1}, {"sgd": {"refunded": 600}})
    assert sorted(b.refunded(hands, payment)) == [400, 600]
    b.hear(hands)
    assert "refund.failed" not in hands.notified_types()


def test_a_payment_that_came_late_is_listed_and_refunded_only_if_asked(hands: Hands) -> None:
    b.pay(hands, 1)
    batch = b.started(hands, event_id="evening")
    (late,) = b.pay(hands, 1)
    state = b.run(hands, batch)
    assert counts(state) == {"refunded": 1, "late": 1}
    assert b.refunded(hands, late) == []
    (member,) = b.members(hands, batch, status="late")
    assert (member["payment_id"], member["amount"]) == (late, 1000)

    assert b.post(hands, batch, "retry", {"include": ["late"]}).status_code == 200
    state = b.run(hands, batch)
    assert counts(state) == {"refunded": 2}
    assert b.refunded(hands, late) == [1000]


@pytest.mark.parametrize("by_event", [True, False])
def test_a_payment_that_was_left_out_unpaid_and_paid_meanwhile_is_late(
    hands: Hands, by_event: bool
) -> None:
    """A customer completes 3D Secure while the batch runs."""
    (first,) = b.pay(hands, 1)
    (unpaid,) = b.pay(hands, 1, payment_method="pm_card_threeDSecure2Required", amount=700)
    body = {"event_id": "evening"} if by_event else {"payments": [first, unpaid]}
    batch = b.started(hands, **body)
    assert b.members(hands, batch, status="left_out")[0]["reason"] == "not_captured"
    authenticate(hands, unpaid)
    state = b.run(hands, batch)
    assert counts(state) == {"refunded": 1, "late": 1}
    assert state["amounts"] == {"sgd": {"refunded": 1000, "late": 700}}
    assert (state["total"], state["done"]) == (1, 1)
    (member,) = b.members(hands, batch, status="late")
    assert (member["payment_id"], member["reason"]) == (unpaid, None)
    assert b.refunded(hands, unpaid) == []

    assert b.post(hands, batch, "retry", {"include": ["late"]}).status_code == 200
    assert counts(b.run(hands, batch)) == {"refunded": 2}
    assert b.refunded(hands, unpaid) == [700]


def authenticate(hands: Hands, payment: str) -> None:
    url = f"{hands.sandbox}/_sandbox/payment_intents/{payment}/authenticate"
    call("POST", url, json={"outcome": "complete"})
    b.hear(hands)


def test_a_paused_batch_begins_nothing_until_it_is_resumed(hands: Hands) -> None:
    payments = b.pay(hands, 2)
    batch = b.started(hands, payments=payments)
    assert b.post(hands, batch, "pause").get_json()["paused_reason"] == "requested"
    assert b.post(hands, batch, "pause").status_code == 200
    b.turn(hands)
    assert counts(b.look(hands, batch)) == {"not_begun": 2}
    assert b.post(hands, batch, "resume").get_json()["state"] == "running"
    assert counts(b.run(hands, batch)) == {"refunded": 2}
    hands.work()
    types = [body["type"] for body in b.told_of(hands, batch)]
    assert types == ["refund_batch.started", "refund_batch.paused", "refund_batch.completed"]


def test_a_canceled_batch_ends_what_was_begun_and_begins_no_more(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.refund_batches.MOST_BEGUN", 1)
    payments = b.pay(hands, 3)
    batch = b.started(hands, payments=payments)
    b.refund_batches.run_once(hands.runtime)
    assert b.post(hands, batch, "cancel").status_code == 200
    state = b.look(hands, batch)
    assert (state["state"], counts(state)) == ("canceled", {"not_begun": 2, "begun": 1})
    hands.work()
    b.turn(hands)
    b.turn(hands)
    assert counts(b.look(hands, batch)) == {"not_begun": 2, "refunded": 1}
    assert b.post(hands, batch, "resume").status_code == 409
    hands.work()
    *_, last = b.told_of(hands, batch)
    assert (last["type"], last["data"]["status"]) == ("refund_batch.completed", "canceled")


def test_a_batch_without_balance_pauses_says_what_is_missing_and_goes_on_when_it_comes(
    hands: Hands,
) -> None:
    b.set_balance(hands, settlement_currency=None)
    payments = b.pay(hands, 3)
    b.set_balance(hands, currency="sgd", available=1200)
    batch = b.started(hands, payments=payments)
    state = b.run(hands, batch)
    assert (state["state"], state["paused_reason"]) == ("paused", "insufficient_funds")
    assert counts(state) == {"refunded": 1, "waiting": 2}
    assert state["missing"] == {"sgd": 2000 - 200}
    hands.work()
    *_, notifications = b.told_of(hands, batch)
    assert (notifications["type"], notifications["data"]["paused_reason"]) == (
        "refund_batch.paused",
        "insufficient_funds",
    )
    assert notifications["data"]["missing"] == state["missing"]

    b.set_balance(hands, currency="sgd", available=5000)
    b.hear(hands)
    for _ in range(100):
        b.turn(hands)
        if b.look(hands, batch)["state"] == "completed":
            break
        b.time.sleep(0.05)
    assert counts(b.look(hands, batch)) == {"refunded": 3}
    assert [b.refunded(hands, one) for one in payments] == [[1000]] * 3


def paused_for_balance(hands: Hands, count: int) -> str:
    """Start a batch of this many payments without any balance, and return its id when it pauses."""
    b.set_balance(hands, settlement_currency=None)
    payments = b.pay(hands, count)
    b.set_balance(hands, currency="sgd", available=0)
    batch = b.started(hands, payments=payments)
    assert b.run(hands, batch)["state"] == "paused"
    return batch


def test_a_batch_that_is_resumed_without_balance_pauses_again(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its refunds wait at Stripe, which sends no event about that."""
    batch = paused_for_balance(hands, 2)
    monkeypatch.setattr(refund_batches, "LOOK_FACTOR", 1_000_000)
    assert b.post(hands, batch, "resume").get_json()["state"] == "running"
    state = b.run(hands, batch)
    assert (state["state"], state["paused_reason"]) == ("paused", "insufficient_funds")
    assert (counts(state), state["missing"]) == ({"waiting": 2}, {"sgd": 2000})
    b.set_balance(hands, currency="sgd", available=5000)
    assert b.post(hands, batch, "resume").get_json()["missing"] is None
    b.hear(hands)
    assert counts(b.run(hands, batch)) == {"refunded": 2}


def test_a_resume_tries_the_refunds_that_wait_without_delay(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe refused them for lack of balance, and their next try is hours away."""
    hour = 3600.0
    monkeypatch.setattr(refunding, "FIRST_WAIT_FACTOR", 1e9)
    monkeypatch.setattr(refunding, "LONGEST_WAIT_SECONDS", hour)
    b.set_balance(hands, settlement_currency=None)
    payments = b.pay(hands, 2)
    match = {"method": "POST", "path_prefix": "/v1/refunds"}
    refusal = {"kind": "error", "status": 400, "code": "balance_insufficient"}
    hands.break_stripe(match=match, times=2, **refusal)
    monkeypatch.setattr(StripeGateway, "balance", lambda *_: {"sgd": 0})
    batch = b.started(hands, payments=payments)
    state = b.run(hands, batch)
    assert (state["state"], counts(state)) == ("paused", {"waiting": 2})
    assert b.post(hands, batch, "resume").get_json()["state"] == "running"
    assert counts(b.run(hands, batch)) == {"refunded": 2}


def test_a_batch_that_waits_for_stripe_alone_is_not_paused(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The balance suffices, and Stripe has not paid its refunds yet."""
    batch = paused_for_balance(hands, 1)
    monkeypatch.setattr(StripeGateway, "balance", lambda *_: {"sgd": 9999})
    b.post(hands, batch, "resume")
    for _ in range(20):
        b.turn(hands)
        b.time.sleep(0.05)
    state = b.look(hands, batch)
    assert (state["state"], counts(state)) == ("running", {"waiting": 1})


def test_a_canceled_batch_misses_nothing_and_ends_with_its_last_refund(hands: Hands) -> None:
    b.set_balance(hands, settlement_currency=None)
    payments = b.pay(hands, 1)
    b.set_balance(hands, currency="sgd", available=0)
    batch = b.started(hands, payments=payments)
    assert b.run(hands, batch)["missing"] == {"sgd": 1000}
    state = b.post(hands, batch, "cancel").get_json()
    assert (state["state"], state["missing"], counts(state)) == ("canceled", None, {"waiting": 1})
    assert state["ended"] is None
    b.set_balance(hands, currency="sgd", available=1000)
    for _ in range(100):
        b.hear(hands)
        b.turn(hands)
        if (state := b.look(hands, batch))["ended"]:
            break
        b.time.sleep(0.02)
    assert state["ended"]
    assert (state["state"], counts(state)) == ("canceled", {"refunded": 1})


def test_failed_members_are_tried_again_under_new_jobs_and_never_refunded_twice(
    hands: Hands,
) -> None:
    payments = b.pay(hands, 2)
    fault = {"match": {"method": "POST", "path_prefix": "/v1/refunds"}, "kind": "error"}
    call("POST", f"{hands.sandbox}/_sandbox/faults", json=fault | {"status": 400, "times": 1})
    batch = b.started(hands, payments=payments)
    assert counts(b.run(hands, batch)) == {"refunded": 1, "failed": 1}
    (failed,) = b.members(hands, batch, status="failed")
    assert failed["failure_code"]
    assert b.post(hands, batch, "retry").status_code == 200
    assert counts(b.run(hands, batch)) == {"refunded": 2}
    again = {one["payment_id"]: one for one in b.members(hands, batch)}[failed["payment_id"]]
    assert again["refund_request_id"] != failed["refund_request_id"]
    assert [b.refunded(hands, one) for one in payments] == [[1000]] * 2
    assert b.post(hands, batch, "retry").status_code == 409


@pytest.mark.parametrize("requests", [("failed", "late"), ("late", "failed")])
def test_two_operators_retry_at_once_and_both_are_obeyed(
    hands: Hands, requests: tuple[str, str]
) -> None:
    """Neither request replaces the other while upkeep has not taken either."""
    (failed,) = b.pay(hands, 1)
    fault = {"match": {"method": "POST", "path_prefix": "/v1/refunds"}, "kind": "error"}
    call("POST", f"{hands.sandbox}/_sandbox/faults", json=fault | {"status": 400})
    batch = b.started(hands, event_id="evening")
    (late,) = b.pay(hands, 1)
    assert counts(b.run(hands, batch)) == {"failed": 1, "late": 1}
    for state in requests:
        assert b.post(hands, batch, "retry", {"include": [state]}).status_code == 200
    assert counts(b.run(hands, batch)) == {"refunded": 2}
    assert [b.refunded(hands, one) for one in (failed, late)] == [[1000], [1000]]


def test_a_retry_that_comes_while_another_is_carried_out_is_not_lost(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    b.pay(hands, 2)
    fault = {"match": {"method": "POST", "path_prefix": "/v1/refunds"}, "kind": "error"}
    fault |= {"status": 400, "times": 3}
    call("POST", f"{hands.sandbox}/_sandbox/faults", json=fault)
    batch = b.started(hands, event_id="evening")
    assert counts(b.run(hands, batch)) == {"failed": 2}
    put_back = Batches.again

    def ask_again(*args: Any) -> int:
        moved = put_back(*args)
        time.sleep(0.002)  # the times of both requests differ
        b.post(hands, batch, "retry")
        return moved

    b.post(hands, batch, "retry")
    monkeypatch.setattr(Batches, "again", ask_again)
    refund_batches.run_once(hands.runtime)
    monkeypatch.setattr(Batches, "again", put_back)
    fields = hands.runtime.batches.read(batch).fields
    assert [name for name in fields if name.startswith("retry")] == ["retry:failed"]


def test_a_refund_that_fails_late_is_counted_as_failed(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment])
    b.run(hands, batch)
    (member,) = b.members(hands, batch, status="refunded")
    call("POST", f"{hands.sandbox}/_sandbox/refunds/{member['refund_id']}/fail", json={})
    b.hear(hands)
    b.turn(hands)
    state = b.look(hands, batch)
    assert (state["state"], counts(state)) == ("completed", {"failed": 1})


def test_members_are_paged_in_the_order_they_were_given(hands: Hands) -> None:
    payments = b.pay(hands, 5)
    batch = b.started(hands, payments=payments)
    b.run(hands, batch)
    for query in ({}, {"status": "refunded"}):
        state: list[str] = []
        while True:
            after = {"starting_after": state[-1]} if state else {}
            page = b.members(hands, batch, limit=2, **query, **after)
            state += [one["payment_id"] for one in page]
            if len(page) < 2:
                break
        assert state == payments


def test_a_job_that_redis_lost_and_its_refund_restored_ends_its_member(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment])
    store, jobs = hands.runtime.store, hands.runtime.refund_jobs
    job = member_job_id(batch, payment, 0)
    # As after a fail-over that lost writes: the refund exists, but not its job and its begin.
    params = {"payment_intent": payment, "amount": 1000}
    refund = hands.runtime.gateway.create_refund(params=params, idempotency_key=stripe_key(job))
    assert jobs.restore(job, refund, None)
    assert counts(b.run(hands, batch)) == {"refunded": 1}
    assert b.refunded(hands, payment) == [1000]
    assert store.redis.llen(store.keys.ended_members()) == 0


def test_a_paused_batch_with_nothing_left_to_begin_is_completed(hands: Hands) -> None:
    """Its refunds had all begun when it was paused, so it has nothing to resume."""
    b.pay(hands, 1)
    batch = b.started(hands, event_id="evening")
    refund_batches.run_once(hands.runtime)
    assert b.post(hands, batch, "pause").get_json()["paused_reason"] == "requested"
    b.turn(hands)
    b.turn(hands)
    state = b.look(hands, batch)
    assert (state["state"], state["paused_reason"]) == ("completed", None)
    assert counts(state) == {"refunded": 1}
    hands.work()
    types = [body["type"].rpartition(".")[2] for body in b.told_of(hands, batch)]
    assert types == ["started", "paused", "completed"]


def test_a_pause_by_hand_is_told_without_the_amounts_of_an_earlier_one(hands: Hands) -> None:
    batch = paused_for_balance(hands, 2)
    assert b.post(hands, batch, "pause").get_json()["missing"] is None
    hands.work()
    *_, last = b.told_of(hands, batch)
    assert (last["data"]["paused_reason"], last["data"]["missing"]) == ("requested", None)


@pytest.mark.parametrize("event_came", [True, False])
def test_the_amounts_left_out_are_those_of_no_refund(hands: Hands, event_came: bool) -> None:
    """Whether a payment is left out at the start, before it begins, or by Stripe's answer."""
    first, second, third = b.pay(hands, 3)
    b.refund_at_stripe(hands, first, 1000)
    b.hear(hands)
    batch = b.started(hands, payments=[first, second, third])
    b.refund_at_stripe(hands, second, 1000)
    if event_came:
        b.hear(hands)
    state = b.run(hands, batch)
    assert counts(state) == {"refunded": 1, "left_out": 2}
    assert state["amounts"] == {"sgd": {"refunded": 1000}}
    assert [one["amount"] for one in b.members(hands, batch)] == [0, 0, 1000]
