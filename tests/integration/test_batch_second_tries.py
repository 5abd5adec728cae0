"""Members that a batch refunds once more, and those that become late: what each step leaves."""

from __future__ import annotations

import pytest

from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.batch import Member, MemberState
from shared.work.batch_turns import RETRY
from shared.work.batches import Batches, NewBatch, batch_id

BATCH = batch_id("caller", "key")
TERMS = (
    '{"percent":null,"amount":null,"keep_fee":null,"currency":null,'
    '"event_id":null,"reason":null,"metadata":{}}'
)


def batch_of(store: Store, settings: Settings, *members: Member) -> Batches:
    batches = Batches(store, settings)
    batches.record(NewBatch(BATCH, {"terms": TERMS, "caller": "shop", "account": ""}, members))
    return batches


def put_back(batches: Batches, state: MemberState) -> int:
    batches.turn(BATCH, RETRY)
    return batches.again(BATCH, state, 2**52, batches.members(BATCH, state, None, 10))


def test_nothing_stays_of_the_try_before_a_retry(real_store: Store, settings: Settings) -> None:
    last_try = {
        "job": "rr_m1",
        "refund_id": "re_1",
        "reason": "disputed",
        "failure_code": "expired_card",
        "failure_message": "The card expired.",
    }
    failed = Member("pi_1", MemberState.FAILED, 100, "sgd", tries=1, **last_try)
    batches = batch_of(real_store, settings, failed)
    assert put_back(batches, MemberState.FAILED) == 1
    fresh = Member("pi_1", MemberState.NOT_BEGUN, 100, "sgd", tries=2)
    assert batches.members(BATCH, None, None, 1) == [fresh]


@pytest.mark.parametrize(("state", "count"), [(MemberState.FAILED, 3), (MemberState.LATE, 0)])
def test_the_rate_of_a_retry_counts_what_it_refunds(
    real_store: Store, settings: Settings, state: MemberState, count: int
) -> None:
    """Failed members were counted as done before, late ones were not."""
    three = [Member(f"pi_{n}", state, 100, "sgd") for n in range(3)]
    batches = batch_of(real_store, settings, *three)
    assert batches.read(BATCH).done == count
    assert put_back(batches, state) == 3
    batches.begin([batches.leaving_out(BATCH, three[0], "disputed")])
    read = batches.read(BATCH)
    assert read.per_second(int(read.fields["resumed_at"]) + 10_000) == pytest.approx(0.1)


@pytest.mark.parametrize(("job", "state"), [("", "late"), ("rr_m1", "left_out")])
def test_a_payment_that_was_left_out_becomes_late_unless_stripe_refused_its_refund(
    real_store: Store, settings: Settings, job: str, state: str
) -> None:
    """After a refusal the events that say why come later than the end of the batch."""
    left_out = Member("pi_0", MemberState.LEFT_OUT, job=job, reason="not_captured")
    batches = batch_of(real_store, settings, left_out)
    late = [Member("pi_0", MemberState.LATE, 100, "sgd")]
    assert [batches.add(BATCH, late) for _ in range(2)] == [int(state == "late"), 0]
    assert batches.read(BATCH).counts[state] == 1
    assert batches.read(BATCH).amounts == ({} if job else {"sgd": {"late": 100}})
    (member,) = batches.members(BATCH, MemberState(state), None, 1)
    assert (member.n, member.reason) == (0, "not_captured" if job else "")
