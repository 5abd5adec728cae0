"""What events about a dispute mean: a customer's bank takes money back, or asks about it."""

from __future__ import annotations

from typing import Any

from shared.facts import Fact
from shared.stripe_event import Event, reference
from shared.stripe_gateway import StripeGateway
from worker.registry import handles

Json = dict[str, Any]
ORDER = {"opened": 0, "updated": 1, "closed": 2}


@handles("charge.dispute.created")  # why: evidence is due within days
def dispute_opened(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that a dispute was opened."""
    return [dispute_fact(event, "opened", "opened")]


@handles("charge.dispute.updated")  # why: the bank looks at the evidence
def dispute_updated(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that a dispute moved on, once for each status it is updated in."""
    return [dispute_fact(event, "updated", "updated", per_status=True)]


@handles("charge.dispute.closed")  # why: decides whether the money came back
def dispute_closed(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell how a dispute ended: won, lost, or closed without a decision."""
    status = str(event.object.get("status"))
    return [dispute_fact(event, "closed", status if status in ("won", "lost") else "closed")]


@handles("charge.dispute.funds_withdrawn")  # why: the balance is smaller now
def funds_withdrawn(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the disputed money was taken."""
    return [_money_fact(event, "funds_withdrawn")]


@handles("charge.dispute.funds_reinstated")  # why: the balance is whole again
def funds_reinstated(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the disputed money came back."""
    return [_money_fact(event, "funds_reinstated")]


def dispute_fact(event: Event, stage: str, told: str, *, per_status: bool = False) -> Fact:
    """Build the fact that a dispute reached a stage; a closed one never reopens."""
    dispute = event.object
    dispute_id, status = str(dispute["id"]), str(dispute.get("status"))
    return Fact(
        subject=dispute_id,
        family="dispute",
        status=status,
        rank=(int(stage == "closed"), event.created, ORDER[stage]),
        happened_at=event.created,
        snapshot={name: dispute.get(name) for name in ("amount", "currency", "reason")},
        type=f"dispute.{told}",
        key=f"{dispute_id}:{status}" if per_status else dispute_id,
        data=_data(dispute),
        lasting=stage == "closed",
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _money_fact(event: Event, moved: str) -> Fact:
    """Build the fact that money moved: its own subject, for it holds whatever the dispute does."""
    dispute = event.object
    return Fact(
        subject=f"{dispute['id']}:{moved}",
        family="dispute_funds",
        status=str(dispute.get("status")),
        rank=(event.created,),
        happened_at=event.created,
        snapshot={name: dispute.get(name) for name in ("amount", "currency")},
        type=f"dispute.{moved}",
        key=str(dispute["id"]),
        data=_data(dispute),
        lasting=True,
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _data(dispute: Json) -> Json:
    metadata = dispute.get("metadata") or {}
    return {
        "payment_intent_id": reference(dispute.get("payment_intent")),
        "charge_id": reference(dispute.get("charge")),
        "dispute_id": dispute["id"],
        "amount": dispute.get("amount"),
        "currency": dispute.get("currency"),
        "failure_code": dispute.get("reason"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
        "metadata": metadata,
    }
