"""Answers about batches of refunds, built from their records in Redis."""

from __future__ import annotations

from collections import Counter

from api.batch_models import Batch, BatchMember, DryRun, Funds, LeftOutPayment, Refusal
from api.batch_plan import Plan
from api.parts import parts
from shared.errors import CallerError
from shared.payment_summary import timestamp
from shared.refund_terms import funds
from shared.work.batch import OPEN, BatchRecord, BatchState, Member
from shared.work.batch_turns import CLOSED
from shared.work.payments import moment

# Most left-out payments that a dry run names; the batch itself lists them all.
MOST_LISTED = 1_000


def dry_run_answer(
    plan: Plan,
    available: dict[str, int] | None,
    *,
    needs_operator: bool,
    refusal: CallerError | None,
) -> DryRun:
    """Build the answer to a dry run; `available` is None when our key may not read the balance."""
    gaps = [
        Funds(
            currency=one.currency,
            needed=one.needed,
            available=one.available,
            missing=one.missing,
        )
        for one in funds(plan.amounts(), plan.rates, available)
    ]
    left_out = plan.left_out
    return DryRun(
        dry_run=True,
        payments=len(plan.refunded),
        amounts=plan.amounts(),
        left_out=dict(Counter(member.reason for member in left_out)),
        left_out_payments=[
            LeftOutPayment(payment_id=member.payment, reason=member.reason)
            for member in left_out[:MOST_LISTED]
        ],
        funds=gaps,
        needs_operator=needs_operator,
        refusal=Refusal(code=refusal.code, detail=refusal.detail) if refusal else None,
    )


def batch_answer(batch: BatchRecord) -> Batch:
    """Build the answer about a batch in its current state."""
    request, now_ms = batch.request, parts().store.now_ms()
    rate = batch.per_second(now_ms)
    left = batch.count(*OPEN)
    return Batch(
        batch_id=batch.id,
        state=batch.state.value,
        paused_reason=batch.fields.get("paused_reason"),
        missing=batch.missing,
        event_id=request["event_id"],
        percent=request["percent"],
        amount=request["amount"],
        keep_fee=request["keep_fee"],
        expected_currency=request["currency"],
        reason=request["reason"],
        metadata=request["metadata"],
        account=batch.fields.get("account") or None,
        total=batch.total,
        done=batch.done,
        counts=batch.counts,
        amounts=batch.amounts,
        per_second=None if rate is None else round(rate, 2),
        estimated_end=timestamp(now_ms / 1000 + left / rate) if rate and left else None,
        created=moment(batch.fields["recorded_at"]),
        ended=moment(batch.fields["turned_at"]) if _has_ended(batch) else None,
    )


def _has_ended(batch: BatchRecord) -> bool:
    """Say whether no refund is to come: those that a canceled batch had begun are completed."""
    return batch.state is BatchState.COMPLETED or CLOSED in batch.fields


def member_answer(member: Member) -> BatchMember:
    """Build the answer about a payment in a batch."""
    return BatchMember(
        payment_id=member.payment,
        status=member.state.value,
        amount=member.amount,
        currency=member.currency or None,
        reason=member.reason or None,
        refund_request_id=member.job or None,
        refund_id=member.refund_id or None,
        failure_code=member.failure_code or None,
        failure_message=member.failure_message or None,
    )
