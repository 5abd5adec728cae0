"""What events about a payment intent mean: how a payment stands."""

from __future__ import annotations

from typing import Any

from shared.facts import Fact
from shared.stripe.amounts import received
from shared.stripe.event import Event, charge_of, reference
from shared.stripe.gateway import StripeGateway
from worker.registry import handles

Json = dict[str, Any]
# Attempts come and go, each fact of theirs as old as its second; an end is an end for ever. Money
# that came in outranks everything.
OPEN, CANCELED, SUCCEEDED = range(3)
STAGES = {"canceled": CANCELED, "succeeded": SUCCEEDED}
# Which state stands when several are of one second: the usual course of one attempt.
COURSE = (
    "created",
    "requires_action",
    "processing",
    "authorized",
    "partially_captured",
    "failed",
)
# What an intent's own status says; an object that was fetched may be ahead of its event.
REACHED = {
    "canceled": "canceled",
    "processing": "processing",
    "requires_action": "requires_action",
    "requires_capture": "authorized",
    "requires_payment_method": "failed",
    "succeeded": "succeeded",
    # The names that versions before 2019-02-11 use.
    "requires_source": "failed",
    "requires_source_action": "requires_action",
}

# Fields that a notification and the remembered payment have alike.
SAME_FIELDS = (
    "amount",
    "amount_received",
    "amount_capturable",
    "cancellation_reason",
    "currency",
    "metadata",
)


@handles("payment_intent.created")  # why: the timeline begins here; nobody is told
def created(event: Event, _: StripeGateway) -> list[Fact]:
    """Remember the payment; no notification."""
    return [payment_fact(event, "created")]


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
    return [payment_fact(event, "failed", attempt=charge or _moment(event, error))]


@handles("payment_intent.processing")  # why: a bank debit is under way and may take days
def processing(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the payment is under way, once for each attempt."""
    return [payment_fact(event, "processing", attempt=_moment(event, event.object))]


@handles("payment_intent.requires_action")  # why: the customer must authenticate (3D Secure)
def requires_action(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that the customer must do something, once for each attempt."""
    return [payment_fact(event, "requires_action", attempt=_moment(event, event.object))]


@handles("payment_intent.amount_capturable_updated")  # why: money is held and can be captured
def amount_capturable_updated(event: Event, _: StripeGateway) -> list[Fact]:
    """Tell that money is held, once for each amount; or that a part of it was captured."""
    if came := received(event.object):
        return [payment_fact(event, "partially_captured", attempt=f"received:{came}")]
    capturable = event.object.get("amount_capturable")
    charge = charge_of(event.object) or "none"
    return [payment_fact(event, "authorized", attempt=f"{charge}:{capturable}")]


def payment_fact(event: Event, change: str, *, attempt: str = "") -> Fact:
    """Build the fact that a payment intent reached a status, from the event's own copy of it.

    A copy that was fetched may have moved on. Then its end is told, if it has come to one; what
    it passed on the way is superseded and only remembered.
    """
    intent, snapshot = event.object, _snapshot(event.object)
    intent_id, status = str(intent["id"]), str(intent.get("status") or change)
    came = snapshot["amount_received"]
    reached = _reached(status, change, came)
    ended = reached in STAGES
    news = reached if ended else change
    if news == "created" or (news != reached and event.fetched):
        news = ""
    return Fact(
        subject=intent_id,
        family="payment",
        status=status,
        rank=(STAGES.get(reached, OPEN), event.created),
        tie=(COURSE.index(change) if change in COURSE else len(COURSE), came),
        happened_at=event.created,
        snapshot=snapshot | {"let_go": reached == "canceled" and not came},
        type=f"payment.{news}" if news else None,
        key=intent_id if ended or not attempt else f"{intent_id}:{attempt}",
        data=_data(intent, snapshot, failed=news == "failed"),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _reached(status: str, change: str, came: int) -> str:
    reached = REACHED.get(status, change)
    return "partially_captured" if reached == "authorized" and came else reached


def _moment(event: Event, tried: Json) -> str:
    """Tell attempts without a charge apart, even two with one method: by method and second."""
    return f"{reference(tried.get('payment_method')) or 'none'}@{event.created}"


def _snapshot(intent: Json) -> Json:
    names = ("amount", "amount_capturable", "currency", "created", "livemode", "description")
    kept = {name: intent.get(name) for name in names}
    kept["amount_received"] = received(intent)
    kept["cancellation_reason"] = intent.get("cancellation_reason")
    kept["charge_id"] = charge_of(intent)
    kept["metadata"] = intent.get("metadata") or {}
    kept["status"] = intent.get("status")
    return kept


def _data(intent: Json, snapshot: Json, *, failed: bool) -> Json:
    metadata = snapshot["metadata"]
    error = (intent.get("last_payment_error") or {}) if failed else {}
    return {name: snapshot[name] for name in SAME_FIELDS} | {
        "payment_intent_id": intent["id"],
        "charge_id": (error and reference(error.get("charge"))) or snapshot["charge_id"],
        "failure_code": error.get("decline_code") or error.get("code"),
        "failure_message": error.get("message"),
        "customer_email": intent.get("receipt_email"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
    }
