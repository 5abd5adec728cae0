"""Events about reviews and early fraud warnings: a person should look before the bank does."""

from __future__ import annotations

from typing import Any

from shared.facts import Fact
from shared.stripe.event import Event, reference
from shared.stripe.gateway import StripeGateway
from worker.registry import handles

Json = dict[str, Any]


# why: most warnings become disputes, with their fee, unless the payment is refunded first
@handles("radar.early_fraud_warning.created", "radar.early_fraud_warning.updated")
def fraud_warned(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify that the issuer reports fraud, and again when the warning is no longer actionable."""
    warning = event.object
    status = "actionable" if warning.get("actionable") else "not_actionable"
    return [
        Fact(
            subject=str(warning["id"]),
            family="fraud_warning",
            status=status,
            rank=(event.created, int(event.type.endswith(".updated"))),
            happened_at=event.created,
            snapshot={"fraud_type": warning.get("fraud_type")},
            type="payment.fraud_warning",
            key=f"{warning['id']}:{status}",
            data=_data(warning, "fraud_warning_id", warning.get("fraud_type")),
            livemode=event.livemode,
            stripe_event_id=event.id,
        )
    ]


@handles("review.opened", "review.closed")  # why: goods should wait until somebody has looked
def reviewed(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify that a payment is under review, and how the review ended, once each."""
    review = event.object
    change = event.type.removeprefix("review.")
    opened = review.get("opened_reason") or review.get("reason")
    closed = review.get("closed_reason") or review.get("reason")
    return [
        Fact(
            subject=str(review["id"]),
            family="review",
            status="open" if change == "opened" else "closed",
            rank=(int(change == "closed"), event.created),
            happened_at=event.created,
            snapshot={"opened_reason": opened, "closed_reason": review.get("closed_reason")},
            type=f"payment.review_{change}",
            key=str(review["id"]),
            data=_data(review, "review_id", opened if change == "opened" else closed),
            livemode=event.livemode,
            stripe_event_id=event.id,
        )
    ]


def _data(obj: Json, id_field: str, reason: object) -> Json:
    return {
        id_field: obj["id"],
        "payment_intent_id": reference(obj.get("payment_intent")),
        "charge_id": reference(obj.get("charge")),
        "reason": reason,
    }
