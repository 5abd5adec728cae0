"""The one shape of a payment in our answers, from Stripe's payment intent or from what we remember.

What is remembered is put into Stripe's form first, so that there is one place that reads it.
"""

from __future__ import annotations

from typing import Any

from api.models import Payment, PaymentDetails, PaymentVerdict
from api.parts import parts
from api.refund_answers import refund_with_job
from shared.errors import Unavailable
from shared.facts import amount_refunded, disputed, timestamp
from shared.work.payments import PaymentRecord

Json = dict[str, Any]


def payment_answer(intent: Json) -> Payment:
    """Build the answer from a payment intent in Stripe's form, `latest_charge` expanded."""
    charge = intent.get("latest_charge") or {}
    status = str(intent["status"])
    return Payment(
        success=status == "succeeded",
        status=status,
        payment_intent_id=intent["id"],
        client_secret=intent.get("client_secret"),
        requires_action=status == "requires_action",
        next_action=intent.get("next_action"),
        amount=intent["amount"],
        currency=intent["currency"],
        charge_id=charge.get("id"),
        receipt_url=charge.get("receipt_url"),
        created=intent["created"],
        livemode=intent["livemode"],
        metadata=intent.get("metadata") or {},
    )


def verdict(intent: Json, reason: str | None) -> PaymentVerdict:
    """Build the answer to whether a payment succeeded; `reason` says why not."""
    charge = intent.get("latest_charge") or {}
    return PaymentVerdict(
        verified=reason is None,
        payment_intent_id=intent["id"],
        status=intent["status"],
        reason=reason,
        amount=intent["amount"],
        amount_received=intent["amount_received"],
        amount_refunded=charge.get("amount_refunded") or 0,
        currency=intent["currency"],
    )


def details_from_stripe(
    payment_id: str, account: str | None, timeline: list[Json]
) -> PaymentDetails:
    """Ask Stripe how a payment stands. Raises `CallerError` 404, `Unavailable`."""
    intent = parts().gateway.payment(payment_id, account)
    refunds = parts().gateway.refunds_of(account, payment_intent=payment_id)
    charge = intent.get("latest_charge") or {}
    return PaymentDetails(
        **dict(payment_answer(intent)),
        amount_received=intent["amount_received"],
        amount_refunded=charge.get("amount_refunded") or 0,
        refunds=[refund_with_job(refund) for refund in refunds],
        disputed=bool(charge.get("disputed")),
        timeline=timeline,
        stale=False,
        as_of=timestamp(parts().store.now_ms() / 1000),
    )


def details_remembered(payment_id: str, timeline: list[Json]) -> PaymentDetails:
    """Give the last state known from webhooks. Raises `Unavailable` when nothing is known."""
    record = parts().payments.read(payment_id)
    snapshot = record.state.get("snapshot")
    if not snapshot:
        raise Unavailable(
            "Stripe does not answer, and no webhook told of this payment yet; try again.",
            code="stripe_unreachable",
            retry_after_seconds=5,
        )
    intent = snapshot | {"id": payment_id, "latest_charge": {"id": snapshot["charge_id"]}}
    return PaymentDetails(
        **dict(payment_answer(intent | {"livemode": bool(snapshot["livemode"])})),
        amount_received=snapshot.get("amount_received") or 0,
        amount_refunded=amount_refunded(record.known),
        refunds=[refund_with_job(refund) for refund in _remembered_refunds(record)],
        disputed=disputed(record.known),
        timeline=timeline,
        stale=True,
        as_of=timestamp((record.updated_at_ms or 0) / 1000),
    )


def _remembered_refunds(record: PaymentRecord) -> list[Json]:
    """Give the refunds that events told of, in Stripe's form."""
    return [
        state["snapshot"]
        | {"id": refund_id, "status": state["status"], "payment_intent": record.id}
        for refund_id, state in record.known["subjects"].items()
        if state["family"] == "refund"
    ]
