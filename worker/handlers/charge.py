"""What events about a charge mean: mostly the timeline; all of a payment that has no intent."""

from __future__ import annotations

from typing import Any

from shared.errors import CallerError, NotYet
from shared.facts import Fact
from shared.stripe.event import Event, payment_of, reference
from shared.stripe.gateway import StripeGateway
from worker.handlers.refund import refund_fact
from worker.registry import handles

Json = dict[str, Any]
# Which state stands when several are of one second: the course of a charge.
COURSE = ("pending", "failed", "expired", "succeeded", "captured", "updated", "refunded")
# A charge without an intent ends once; money that came in outranks everything.
STAGES = {"authorized": 0, "canceled": 1, "failed": 1, "succeeded": 2}
NOT_FOUND = 404
# What Stripe has announced it shows within moments.
LOOK_AGAIN_SECONDS = 5.0


# why: the payment intent tells the same; only a charge that has none is told from here
@handles("charge.succeeded", "charge.failed", "charge.captured", "charge.expired")
def charged(event: Event, _: StripeGateway) -> list[Fact]:
    """Note the charge; tell how the payment stands when no payment intent will."""
    if reference(event.object.get("payment_intent")):
        return [charge_fact(event)]
    return [charge_fact(event), _payment_fact(event)]


# why: the timeline shows what became of the charge
@handles("charge.updated", "charge.pending")
def noted(event: Event, _: StripeGateway) -> list[Fact]:
    """Note the charge's change; no notification."""
    return [charge_fact(event)]


# why: an endpoint may subscribe to no refund.* event, and this one does not say which refund it is
@handles("charge.refunded")
def refunded(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Look the charge's refunds up and tell of each, as its own events would.

    A hold that is released counts as refunded, too, though no money moved: nothing is looked up.
    Raises `NotYet` while Stripe does not show the refund that the event is about.
    """
    charge = event.object
    if not charge.get("captured"):
        return [charge_fact(event)]
    refunds = _refunds(charge, stripe, event.account)
    if not _shown(refunds, event):
        raise NotYet(
            "Stripe does not list the refund yet.",
            code="refund_not_listed",
            delay_seconds=LOOK_AGAIN_SECONDS,
        )
    return [charge_fact(event)] + [
        refund_fact(event, refund | {"payment_intent": _intent(refund, charge)})
        for refund in reversed(refunds)
    ]


def _intent(refund: Json, charge: Json) -> str | None:
    return reference(refund.get("payment_intent")) or reference(charge.get("payment_intent"))


def _refunds(charge: Json, stripe: StripeGateway, account: str | None) -> list[Json]:
    """List the charge's refunds, newest first; those in the event itself if Stripe knows none."""
    try:
        found = stripe.refunds_of(account, charge=str(charge["id"]))
    except CallerError as error:
        if error.status != NOT_FOUND:
            raise
        found = []
    embedded: list[Json] = (charge.get("refunds") or {}).get("data") or []
    return found or embedded


def _shown(refunds: list[Json], event: Event) -> bool:
    """Say whether the refund that made this event is among them, by what it added."""
    before = (event.previous or {}).get("amount_refunded")
    if before is None:
        return bool(refunds)
    added = int(event.object.get("amount_refunded") or 0) - int(before)
    return any(refund.get("amount") == added for refund in refunds)


def charge_fact(event: Event) -> Fact:
    """Build the fact of how a charge stands, which only the timeline tells."""
    charge = event.object
    change = event.type.removeprefix("charge.")
    return Fact(
        subject=str(charge["id"]),
        family="charge",
        status=str(charge.get("status")),
        rank=(event.created,),
        tie=(COURSE.index(change), int(charge.get("amount_refunded") or 0)),
        happened_at=event.created,
        snapshot=_snapshot(charge),
        data=_data(charge),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _payment_fact(event: Event) -> Fact:
    """Build the fact of how a payment stands that is nothing but a charge."""
    charge = event.object
    told = _standing(charge, expired=event.type == "charge.expired")
    return Fact(
        subject=f"{charge['id']}:payment",
        family="payment",
        status=str(charge.get("status")),
        rank=(STAGES[told], event.created),
        happened_at=event.created,
        snapshot=_snapshot(charge),
        type=f"payment.{told}",
        key=str(payment_of(charge)),
        data=_data(charge),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _standing(charge: Json, *, expired: bool) -> str:
    if charge.get("status") == "failed":
        return "failed"
    if charge.get("captured"):
        return "succeeded"
    return "canceled" if expired else "authorized"


def _snapshot(charge: Json) -> Json:
    names = ("amount", "amount_captured", "amount_refunded", "currency", "refunded", "disputed")
    kept = {name: charge.get(name) for name in names}
    return kept | {"receipt_url": charge.get("receipt_url"), "captured": charge.get("captured")}


def _data(charge: Json) -> Json:
    metadata = charge.get("metadata") or {}
    return {
        "payment_intent_id": reference(charge.get("payment_intent")),
        "charge_id": charge["id"],
        "amount": charge.get("amount"),
        "currency": charge.get("currency"),
        "failure_code": charge.get("failure_code"),
        "failure_message": charge.get("failure_message"),
        "customer_email": charge.get("receipt_email"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
        "metadata": metadata,
    }
