"""What events about a payment intent mean: how a payment stands."""

from __future__ import annotations

from typing import Any

from shared.facts import Fact
from shared.stripe_event import Event, reference
from shared.stripe_gateway import StripeGateway
from worker.registry import handles

Json = dict[str, Any]
# Order within one second, for facts that can follow each other that fast. A final state beats all.
ORDER = {
    "created": 0,
    "requires_action": 1,
    "processing": 2,
    "authorized": 3,
    "failed": 4,
    "canceled": 5,
    "succeeded": 6,
}
FINAL = ("canceled", "succeeded")


@handles("payment_intent.created")  # why: the timeline begins here; nobody is told
def created(event: Event, _: StripeGateway) -> list[Fact]:
    """Remember the payment; no notification."""
    return [payment_fact(event, "created", told=False)]


@handles("payment_intent.succeeded")  # why: the money is ours; tickets may be sent
def succeeded(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the payment succeeded, once for ever."""
    return [payment_fact(event, "succeeded")]


@handles("payment_intent.canceled")  # why: the customer's seat is free again
def canceled(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the payment was canceled, once for ever."""
    return [payment_fact(event, "canceled")]


@handles("payment_intent.payment_failed")  # why: the customer must try another way to pay
def payment_failed(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that an attempt failed: once for each failed charge, or attempt without a charge."""
    error = event.object.get("last_payment_error") or {}
    charge = reference(error.get("charge"))
    method = reference(error.get("payment_method")) or "none"
    return [payment_fact(event, "failed", attempt=charge or f"{method}@{event.created}")]


@handles("payment_intent.processing")  # why: a bank debit is under way and may take days
def processing(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the payment is under way."""
    return [payment_fact(event, "processing", attempt=_attempt(event))]


@handles("payment_intent.requires_action")  # why: the customer must authenticate (3D Secure)
def requires_action(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the customer must do something, once for each attempt."""
    return [payment_fact(event, "requires_action", attempt=_attempt(event))]


@handles("payment_intent.amount_capturable_updated")  # why: money is held and can be captured
def amount_capturable_updated(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the payment is authorised and waits to be captured."""
    return [payment_fact(event, "authorized", attempt=_attempt(event))]


def payment_fact(event: Event, status: str, *, attempt: str = "", told: bool = True) -> Fact:
    """Build the fact that a payment intent reached a status, from the event's own copy of it."""
    intent = event.object
    intent_id = str(intent["id"])
    return Fact(
        subject=intent_id,
        family="payment",
        status=str(intent.get("status") or status),
        rank=(int(status in FINAL), event.created, ORDER[status]),
        happened_at=event.created,
        snapshot=_snapshot(intent),
        type=f"payment.{status}" if told else None,
        key=":".join(part for part in (intent_id, attempt) if part),
        data=_data(intent, failed=status == "failed"),
        lasting=status in FINAL,
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _attempt(event: Event) -> str:
    """Tell attempts at one payment apart: a new one has another method or another charge before."""
    method = reference(event.object.get("payment_method")) or "none"
    charge = reference(event.object.get("latest_charge")) or "none"
    return f"{method}:{charge}"


def _snapshot(intent: Json) -> Json:
    names = ("amount", "amount_received", "currency", "created", "livemode", "description")
    kept = {name: intent.get(name) for name in names}
    kept["charge_id"] = reference(intent.get("latest_charge"))
    kept["metadata"] = intent.get("metadata") or {}
    kept["status"] = intent.get("status")
    return kept


def _data(intent: Json, *, failed: bool) -> Json:
    metadata = intent.get("metadata") or {}
    error = (intent.get("last_payment_error") or {}) if failed else {}
    return {
        "payment_intent_id": intent["id"],
        "charge_id": reference(error.get("charge")) or reference(intent.get("latest_charge")),
        "amount": intent.get("amount"),
        "currency": intent.get("currency"),
        "failure_code": error.get("decline_code") or error.get("code"),
        "failure_message": error.get("message"),
        "customer_email": intent.get("receipt_email"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
        "metadata": metadata,
    }
