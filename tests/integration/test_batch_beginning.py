"""Which refund a batch begins for a member, how many at a time, and what becomes of the member."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from shared.work.batch import BatchRecord, Member, MemberState
from shared.work.batches import NewBatch, batch_id, member_job_id
from shared.work.kinds import REFUNDS
from tests.integration import batching as b
from tests.integration.hands import Hands
from tests.loopback import call
from worker import refund_batches
from worker.refund_batches import standing_of

Json = dict[str, Any]
TERMS = dict.fromkeys(("percent", "amount", "keep_fee", "currency", "event_id", "reason"))


def new_batch(hands: Hands, *members: Member, name: str = "key", account: str = "") -> str:
    """Record a batch of exactly these members, as a request with another plan would."""
    batch = batch_id("shop", name)
    fields = {
        "terms": json.dumps(TERMS | {"metadata": {}}),
        "caller": "shop",
        "account": account,
    }
    hands.runtime.batches.record(NewBatch(batch, fields, list(members)))
    return batch


def member_of(payment: str, amount: int = 1000, currency: str = "sgd") -> Member:
    return Member(payment, MemberState.NOT_BEGUN, amount, currency)


def running_jobs(hands: Hands, batch: str) -> int:
    return hands.runtime.batches.read(batch).count(MemberState.BEGUN)


def test_no_more_is_refunded_than_was_planned(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    batch = new_batch(hands, member_of(payment, 400))
    assert b.run(hands, batch)["state"] == "completed"
    assert b.refunded(hands, payment) == [400]


def test_a_payment_in_another_currency_than_planned_is_left_out(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    batch = new_batch(hands, member_of(payment, 400, "jpy"))
    b.run(hands, batch)
    (member,) = b.members(hands, batch)
    assert (member["status"], member["reason"]) == ("left_out", "currency_mismatch")
    assert not hands.runtime.store.redis.exists(
        hands.runtime.store.keys.item(REFUNDS, member_job_id(batch, payment, 0))
    )


def test_a_payment_with_a_chargeback_and_a_later_inquiry_is_left_out(hands: Hands) -> None:
    """Stripe refuses its refund because of the first dispute, although the latest is harmless."""
    (payment,) = b.pay(hands, 1)
    for kind in ("chargeback", "inquiry"):
        body = {"payment_intent": payment, "kind": kind, "amount": 300}
        call("POST", f"{hands.sandbox}/_sandbox/disputes", json=body)
        call("POST", f"{hands.sandbox}/_sandbox/clock", json={"advance_seconds": 5})
    b.hear(hands)
    dry = b.start(hands, event_id="evening", dry_run=True).get_json()
    assert (dry["payments"], dry["left_out"]) == (0, {"disputed": 1})


def test_of_a_payment_that_is_not_known_the_currency_is_checked_at_stripe(hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.runtime.store.redis.delete(hands.runtime.store.keys.payment(payment))
    batch = new_batch(hands, member_of(payment, 400, "jpy"))
    assert b.run(hands, batch)["state"] == "completed"
    (member,) = b.members(hands, batch)
    assert member["status"] == "failed", member
    assert b.refunded(hands, payment) == []


def test_a_batch_of_a_connected_account_refunds_there(hands: Hands) -> None:
    batch = new_batch(hands, member_of("pi_of_theirs"), account="acct_1Theirs")
    refund_batches.run_once(hands.runtime)
    job = member_job_id(batch, "pi_of_theirs", 0)
    assert hands.runtime.refund_jobs.attempts_and_account(job) == (0, "acct_1Theirs")


def hold_back(hands: Hands, *, to: float) -> None:
    """Replace what the workers observe of this machine by a fixed share of the rate."""
    vars(hands.runtime)["throttle"] = SimpleNamespace(share=lambda: to)


def test_a_batch_begins_as_many_refunds_as_there_is_room_for(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the pace, which would take seconds, the window alone limits them."""
    monkeypatch.setattr(BatchRecord, "due_members", lambda *_: 1000)
    hold_back(hands, to=1)
    window = refund_batches._pace(hands.runtime, 1).window
    members = [member_of(f"pi_{number}") for number in range(2 * window)]
    batch = new_batch(hands, *members)
    for _ in range(2):
        refund_batches.run_once(hands.runtime)
        assert running_jobs(hands, batch) == window


def test_batches_that_run_at_once_share_the_window_and_the_rate(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces = []

    def due(_: BatchRecord, now_ms: int, pace_ms: float) -> int:
        paces.append(pace_ms)
        return 1000

    monkeypatch.setattr(BatchRecord, "due_members", due)
    hold_back(hands, to=1)
    window = refund_batches._pace(hands.runtime, 1).window
    batches = [
        new_batch(hands, *(member_of(f"pi_{name}{n}") for n in range(window)), name=name)
        for name in ("a", "b")
    ]
    refund_batches.run_once(hands.runtime)
    assert [running_jobs(hands, batch) for batch in batches] == [window // 2] * 2
    assert paces == [2 * 1000 / refund_batches._rate(hands.runtime.settings)] * 2


@pytest.mark.parametrize("share", [1, 0.5, 0.001])
def test_refunds_begin_more_slowly_while_processors_are_short(hands: Hands, share: float) -> None:
    """The window shrinks with the rate, but never so far that nothing begins."""
    hold_back(hands, to=1)
    usual = refund_batches._pace(hands.runtime, 1)
    hold_back(hands, to=share)
    pace = refund_batches._pace(hands.runtime, 1)
    assert pace.ms == pytest.approx(usual.ms / share)
    assert pace.window == max(1, round(usual.window * share))


def test_refunds_begin_at_the_pace_of_the_budget(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchRecord, "due_members", lambda *_: 3)
    batch = new_batch(hands, *(member_of(f"pi_{number}") for number in range(9)))
    refund_batches.run_once(hands.runtime)
    assert running_jobs(hands, batch) == 3


@pytest.mark.parametrize(
    ("job", "state"),
    [
        ({"state": "queued"}, MemberState.BEGUN),
        ({"state": "dead", "failure_code": "over_budget"}, MemberState.DEAD),
        ({"state": "retrying", "pending_reason": "insufficient_funds"}, MemberState.WAITING),
        ({"result": {"id": "re_1", "status": "succeeded"}}, MemberState.REFUNDED),
        ({"result": {"id": "re_1", "status": "failed"}}, MemberState.FAILED),
        ({"result": {"id": "re_1", "status": "canceled"}}, MemberState.FAILED),
        ({"result": {"id": "re_1", "status": "pending"}}, MemberState.PENDING),
        ({"failure_code": "charge_disputed"}, MemberState.LEFT_OUT),
        ({"failure_code": "expired_or_canceled_card"}, MemberState.FAILED),
    ],
)
def test_a_member_is_what_its_job_says(job: Json, state: MemberState) -> None:
    fields = dict.fromkeys(refund_batches.JOB_FIELDS) | job
    if job.get("result"):
        fields["result"] = json.dumps(job["result"])
    assert standing_of(fields, {})["state"] == state
