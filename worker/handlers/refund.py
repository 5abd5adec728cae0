"""What events about a refund mean: money on its way back, arrived, or come home again."""

from __future__ import annotations

from typing import Any

from shared.facts import Fact
from shared.stripe.event import Event, reference
from shared.stripe.gateway import StripeGateway
from shared.telemetry.logging import get_logger
from worker.registry import handles

log = get_logger(__name__)
Json = dict[str, Any]
# A refund may change between the first two; it moves down the rest, never up: succeeded money can
# come back as failed, never the other way.
STAGES = {"pending": 0, "requires_action": 0, "succeeded": 1, "failed": 2, "canceled": 2}


# why: all of them say how the refund stands; charge.refund.updated is the older name of the same
@handles("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
def refund_changed(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell each status a refund reaches, once, however many events say it."""
    return [refund_fact(event, event.object)]


def refund_fact(event: Event, refund: Json) -> Fact:
    """Build the fact that a refund has a status; one we do not know is remembered, not told."""
    refund_id, status = str(refund["id"]), str(refund.get("status"))
    known = status in STAGES
    if not known:
        log.warning("refund_status_unknown", refund_id=refund_id, status=status)
    return Fact(
        subject=refund_id,
        family="refund",
        status=status,
        rank=(STAGES.get(status, 0), event.created),
        happened_at=event.created,
        snapshot=_snapshot(refund),
        type=f"refund.{status}" if known else None,
        key=f"{refund_id}:{status}",
        data=_data(refund),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _snapshot(refund: Json) -> Json:
    names = ("amount", "currency", "reason", "failure_reason", "created")
    kept = {name: refund.get(name) for name in names}
    kept["charge_id"] = reference(refund.get("charge"))
    kept["metadata"] = refund.get("metadata") or {}
    return kept


def _data(refund: Json) -> Json:
    metadata = refund.get("metadata") or {}
    return {
        "payment_intent_id": reference(refund.get("payment_intent")),
        "charge_id": reference(refund.get("charge")),
        "refund_id": refund["id"],
        "amount": refund.get("amount"),
        "currency": refund.get("currency"),
        "failure_code": refund.get("failure_reason"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
        "metadata": metadata,
    }
