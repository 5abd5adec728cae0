"""What events about a refund mean: money on its way back, arrived, or come home again."""

from __future__ import annotations

from typing import Any

from shared.errors import CallerError
from shared.facts import Fact
from shared.stripe_event import Event, reference
from shared.stripe_gateway import StripeGateway
from worker.registry import handles

Json = dict[str, Any]
# A refund only ever moves down this list: succeeded money can come back as failed, never forth.
ORDER = {"pending": 0, "requires_action": 1, "succeeded": 2, "failed": 3, "canceled": 3}


# why: all of them say how the refund stands; charge.refund.updated is the older name of the same
@handles("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
def refund_changed(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell each status a refund reaches, once, however many events say it."""
    return [refund_fact(event, event.object)]


def refund_fact(event: Event, refund: Json) -> Fact:
    """Build the fact that a refund has a status. Raises `CallerError` for an unknown status."""
    refund_id, status = str(refund["id"]), str(refund.get("status"))
    if status not in ORDER:
        raise CallerError(f"Refund {refund_id} has the unknown status {status}.")
    metadata = refund.get("metadata") or {}
    return Fact(
        subject=refund_id,
        family="refund",
        status=status,
        rank=(ORDER[status], event.created),
        happened_at=event.created,
        snapshot={
            "amount": refund.get("amount"),
            "currency": refund.get("currency"),
            "reason": refund.get("reason"),
            "failure_reason": refund.get("failure_reason"),
            "charge_id": reference(refund.get("charge")),
            "created": refund.get("created"),
            "metadata": metadata,
        },
        type=f"refund.{status}",
        key=f"{refund_id}:{status}",
        data={
            "payment_intent_id": reference(refund.get("payment_intent")),
            "charge_id": reference(refund.get("charge")),
            "refund_id": refund_id,
            "amount": refund.get("amount"),
            "currency": refund.get("currency"),
            "failure_code": refund.get("failure_reason"),
            "event_id": metadata.get("event_id"),
            "user_id": metadata.get("user_id"),
            "metadata": metadata,
        },
        livemode=event.livemode,
        stripe_event_id=event.id,
    )
