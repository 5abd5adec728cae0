"""What events about a charge mean: mostly the timeline; all of a payment that has no intent."""

from __future__ import annotations

from typing import Any

from shared.errors import CallerError
from shared.facts import Fact
from shared.stripe_event import Event, payment_of, reference
from shared.stripe_gateway import StripeGateway
from worker.handlers.refund import refund_fact
from worker.registry import handles

Json = dict[str, Any]
ORDER = {"pending": 0, "failed": 1, "expired": 2, "succeeded": 3, "captured": 4, "updated": 5}
NOT_FOUND = 404


# why: the payment intent tells the same; only a charge that has none is told from here
@handles("charge.succeeded", "charge.failed")
def charged(event: Event, _: StripeGateway) -> list[Fact]:
    """Note the charge; tell of it only when no payment intent will."""
    return [charge_fact(event, told=not reference(event.object.get("payment_intent")))]


# why: the timeline shows what became of the charge
@handles("charge.captured", "charge.updated", "charge.pending", "charge.expired")
def noted(event: Event, _: StripeGateway) -> list[Fact]:
    """Note the charge's change; no notification."""
    return [charge_fact(event, told=False)]


# why: an endpoint may subscribe to no refund.* event, and this one does not say which refund it is
@handles("charge.refunded")
def refunded(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Look the charge's refunds up and tell of each, as its own events would."""
    charge = event.object
    return [charge_fact(event, told=False)] + [
        refund_fact(event, refund | {"payment_intent": _intent(refund, charge)})
        for refund in reversed(_refunds(charge, stripe, event.account))
    ]


def _intent(refund: Json, charge: Json) -> str | None:
    return reference(refund.get("payment_intent")) or reference(charge.get("payment_intent"))


def _refunds(charge: Json, stripe: StripeGateway, account: str | None) -> list[Json]:
    try:
        return stripe.refunds_of(account, charge=str(charge["id"]))
    except CallerError as error:
        if error.status != NOT_FOUND:
            raise
        # The account no longer knows the charge: all there is stands in the event itself.
        embedded: list[Json] = (charge.get("refunds") or {}).get("data") or []
        return embedded


def charge_fact(event: Event, *, told: bool) -> Fact:
    """Build the fact that a charge reached a status."""
    charge = event.object
    change = event.type.removeprefix("charge.")
    failed = charge.get("status") == "failed"
    return Fact(
        subject=str(charge["id"]),
        family="charge",
        status=str(charge.get("status")),
        rank=(event.created, ORDER.get(change, len(ORDER))),
        happened_at=event.created,
        snapshot=_snapshot(charge),
        type=("payment.failed" if failed else "payment.succeeded") if told else None,
        key=str(payment_of(charge)),
        data=_data(charge),
        lasting=told,
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


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
