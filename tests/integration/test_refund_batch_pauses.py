"""When a batch pauses or goes on by itself, and what it reads for that."""

from __future__ import annotations

from typing import Any, Never

import pytest

from shared.stripe.gateway import StripeGateway
from shared.work.batch import MemberState
from shared.work.items import Work
from tests.integration import batching as b
from tests.integration.hands import Hands
from worker import refund_batches
from worker.jobs import JOBS
from worker.run import run

# Times the settings' retry step: far beyond the end of a test.
NEVER = 1_000_000


@pytest.fixture
def batch(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> str:
    """Start a batch of three refunds, one at a time, for which there is no balance."""
    monkeypatch.setattr(refund_batches, "MOST_BEGUN", 1)
    monkeypatch.setattr(refund_batches, "LOOK_FACTOR", NEVER)
    b.set_balance(hands, settlement_currency=None)
    payments = b.pay(hands, 3)
    b.set_balance(hands, currency="sgd", available=0)
    return b.started(hands, payments=payments)


def counts(hands: Hands, batch: str) -> dict[str, int]:
    return {state: count for state, count in b.look(hands, batch)["counts"].items() if count}


def begin_one(hands: Hands, batch: str) -> None:
    """Begin the first refund and work on its job alone; no upkeep runs after it."""
    refund_batches.run_once(hands.runtime)
    (member,) = hands.runtime.batches.members(batch, MemberState.BEGUN, None, 2)
    run(JOBS["refunds"], hands.runtime, member.job)


def reads_no_balance(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run upkeep; a look at the balance fails the test."""

    def fail(*_: Any) -> Never:
        raise AssertionError("upkeep reads the balance")

    with monkeypatch.context() as patched:
        patched.setattr(StripeGateway, "balance", fail)
        refund_batches.run_once(hands.runtime)


def test_the_first_refund_that_waits_pauses_a_batch_that_has_more_to_begin(
    hands: Hands, batch: str
) -> None:
    begin_one(hands, batch)
    refund_batches.run_once(hands.runtime)
    assert b.look(hands, batch)["paused_reason"] == "insufficient_funds"
    assert counts(hands, batch) == {"waiting": 1, "not_begun": 2}


def test_a_batch_is_paused_although_upkeep_dies_before(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> Never:
        raise KeyboardInterrupt

    begin_one(hands, batch)
    with monkeypatch.context() as patched:
        patched.setattr(refund_batches, "_pause", die)
        with pytest.raises(KeyboardInterrupt):
            refund_batches.run_once(hands.runtime)
    refund_batches.run_once(hands.runtime)
    assert b.look(hands, batch)["state"] == "paused"
    assert counts(hands, batch) == {"waiting": 1, "not_begun": 2}


def test_a_batch_with_refunds_to_begin_does_not_pause_for_those_that_wait(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert b.run(hands, batch)["state"] == "paused"
    monkeypatch.setattr(refund_batches, "TRY_FACTOR", 0)
    monkeypatch.setattr(refund_batches.BatchRecord, "due_members", lambda *_: 0)
    b.post(hands, batch, "resume")
    refund_batches.run_once(hands.runtime)
    assert b.look(hands, batch)["state"] == "running"
    assert counts(hands, batch) == {"waiting": 1, "not_begun": 2}


def paused_with_all_waiting(hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refund_batches, "MOST_BEGUN", 3)
    for _ in range(3):
        b.run(hands, batch)
        if counts(hands, batch) == {"waiting": 3}:
            return
        b.post(hands, batch, "resume")
    raise AssertionError(counts(hands, batch))


def test_a_resume_gives_refunds_a_while_before_the_batch_pauses_again(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused_with_all_waiting(hands, batch, monkeypatch)
    monkeypatch.setattr(refund_batches, "TRY_FACTOR", NEVER)
    b.post(hands, batch, "resume")
    reads_no_balance(hands, monkeypatch)
    assert b.look(hands, batch)["state"] == "running"


def test_a_resume_wakes_each_refund_that_waits_once(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused_with_all_waiting(hands, batch, monkeypatch)
    monkeypatch.setattr(refund_batches, "TRY_FACTOR", NEVER)
    woken: list[str] = []
    monkeypatch.setattr(Work, "wake", lambda _, item: woken.append(item))
    b.post(hands, batch, "resume")
    for _ in range(3):
        refund_batches.run_once(hands.runtime)
    assert len(woken) == len(set(woken)) == 3


def test_a_paused_batch_reads_the_balance_now_and_then(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert b.run(hands, batch)["state"] == "paused"
    reads_no_balance(hands, monkeypatch)


def test_a_batch_that_a_person_paused_or_canceled_reads_no_balance(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the refund that ends meanwhile waits for balance."""
    begin_one(hands, batch)
    b.post(hands, batch, "pause")
    reads_no_balance(hands, monkeypatch)
    b.post(hands, batch, "cancel")
    reads_no_balance(hands, monkeypatch)
    assert counts(hands, batch) == {"waiting": 1, "not_begun": 2}


def test_a_pause_by_hand_outlives_the_look_at_the_balance(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person pauses the batch while upkeep reads that there is balance again."""
    monkeypatch.setattr(refund_batches, "LOOK_FACTOR", 0)
    assert b.run(hands, batch)["paused_reason"] == "insufficient_funds"

    def pause(*_: Any) -> dict[str, int]:
        b.post(hands, batch, "pause")
        return {"sgd": 9999}

    monkeypatch.setattr(StripeGateway, "balance", pause)
    refund_batches.run_once(hands.runtime)
    state = b.look(hands, batch)
    assert (state["state"], state["paused_reason"]) == ("paused", "requested")


def test_a_batch_stays_paused_while_nobody_may_read_the_balance(
    hands: Hands, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refund_batches, "LOOK_FACTOR", 0)
    monkeypatch.setattr(StripeGateway, "balance", lambda *_: None)
    state = b.run(hands, batch)
    assert (state["state"], state["missing"]) == ("paused", None)
    refund_batches.run_once(hands.runtime)
    assert b.look(hands, batch)["state"] == "paused"
    assert counts(hands, batch)["waiting"] == 1


def test_the_end_of_a_job_without_a_batch_is_forgotten(hands: Hands) -> None:
    name = hands.runtime.store.keys.ended_members()
    hands.runtime.store.redis.rpush(name, "rr_unknown:0")
    refund_batches.run_once(hands.runtime)
    assert hands.runtime.batches.ended(1) == []


def test_a_late_payment_that_may_not_be_refunded_is_not_listed(hands: Hands) -> None:
    b.pay(hands, 1)
    batch = b.started(hands, event_id="evening")
    (late,) = b.pay(hands, 1)
    b.refund_at_stripe(hands, late, 1000)
    b.hear(hands)
    b.run(hands, batch)
    assert counts(hands, batch) == {"refunded": 1}


def test_a_payment_that_is_known_to_be_refunded_gets_no_job(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment])
    b.refund_at_stripe(hands, payment, 1000)
    b.hear(hands)
    b.run(hands, batch)
    (member,) = hands.runtime.batches.members(batch, MemberState.LEFT_OUT, None, 1)
    assert (member.reason, member.job) == ("already_refunded", "")
