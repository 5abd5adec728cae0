"""Events about a payment intent: the state of a payment."""

from __future__ import annotations

from typing import Any

from shared.facts import Fact
from shared.stripe.amounts import received
from shared.stripe.event import Event, charge_of, reference
from shared.stripe.gateway import StripeGateway
from worker.registry import handles

Json = dict[str, Any]
# The states of attempts replace one another by time; a final state is never replaced, except that
# `succeeded` outranks `canceled`.
OPEN, CANCELED, SUCCEEDED = range(3)
STAGES = {"canceled": CANCELED, "succeeded": SUCCEEDED}
# The usual order of an attempt's states; of several events of one second, the last in it counts.
COURSE = (
    "created",
    "requires_action",
    "processing",
    "authorized",
    "partially_captured",
    "failed",
)
# The state for each status of an intent; an object that was fetched may be newer than its event.
REACHED = {
    "canceled": "canceled",
    "processing": "processing",
    "requires_action": "requires_action",
    "requires_capture": "authorized",
    "requires_payment_method": "failed",
    "succeeded": "succeeded",
    # API versions before 2019-02-11 use these names.
    "requires_source": "failed",
    "requires_source_action": "requires_action",
}

# Fields that a notification and the stored payment have in common.
SAME_FIELDS = (
    "amount",
    "amount_received",
    "amount_capturable",
    "cancellation_reason",
    "currency",
    "metadata",
)


@handles("payment_intent.created")  # why: the timeline begins with it
def created(event: Event, _: StripeGateway) -> list[Fact]:
    """Record the payment; no notification."""
    return [payment_fact(event, "created")]


@handles("payment_intent.succeeded")  # why: the money is ours; tickets may be sent
def succeeded(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify once that the payment succeeded."""
    return [payment_fact(event, "succeeded")]


@handles("payment_intent.canceled")  # why: the customer's seat is free again
def canceled(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify once that the payment was canceled."""
    return [payment_fact(event, "canceled")]


@handles("payment_intent.payment_failed")  # why: the customer must try another way to pay
def payment_failed(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify that an attempt failed, once for each failed charge or attempt without a charge."""
    error = event.object.get("last_payment_error") or {}
    charge = reference(error.get("charge"))
    return [payment_fact(event, "failed", attempt=charge or _moment(event, error))]


@handles("payment_intent.processing")  # why: a bank debit was started and may take days
def processing(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify that the payment is being processed, once for each attempt."""
    return [payment_fact(event, "processing", attempt=_moment(event, event.object))]


@handles("payment_intent.requires_action")  # why: the customer must authenticate (3D Secure)
def requires_action(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify that the customer must act, once for each attempt."""
    return [payment_fact(event, "requires_action", attempt=_moment(event, event.object))]


@handles("payment_intent.amount_capturable_updated")  # why: money is held and can be captured
def amount_capturable_updated(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify that money is held, once for each amount, or that a part of it was captured."""
    if came := received(event.object):
        return [payment_fact(event, "partially_captured", attempt=f"received:{came}")]
    capturable = event.object.get("amount_capturable")
    charge = charge_of(event.object) or "none"
    return [payment_fact(event, "authorized", attempt=f"{charge}:{capturable}")]


def payment_fact(event: Event, change: str, *, attempt: str = "") -> Fact:
    """Build the fact that a payment intent reached a state, from the event's copy of it.

    A copy that was fetched may be newer than its event. If it has ended, the notification is about
    the end; an earlier state that the event was about is only recorded.
    """
    intent, snapshot = event.object, _snapshot(event.object)
    intent_id, status = str(intent["id"]), str(intent.get("status") or change)
    came = snapshot["amount_received"]
    state = _state_of(status, change, came)
    ended = state in STAGES
    news = state if ended else change
    if news == "created" or (news != state and event.fetched):
        news = ""
    return Fact(
        subject=intent_id,
        family="payment",
        status=status,
        rank=(STAGES.get(state, OPEN), event.created),
        tie=(COURSE.index(change) if change in COURSE else len(COURSE), came),
        happened_at=event.created,
        snapshot=snapshot | {"let_go": state == "canceled" and not came},
        type=f"payment.{news}" if news else None,
        key=intent_id if ended or not attempt else f"{intent_id}:{attempt}",
        data=_data(intent, snapshot, failed=news == "failed"),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _state_of(status: str, change: str, came: int) -> str:
    state = REACHED.get(status, change)
    return "partially_captured" if state == "authorized" and came else state


def _moment(event: Event, attempt: Json) -> str:
    """Identify an attempt without a charge by its payment method and the second of its event."""
    return f"{reference(attempt.get('payment_method')) or 'none'}@{event.created}"


def _snapshot(intent: Json) -> Json:
    names = ("amount", "amount_capturable", "currency", "created", "livemode", "description")
    fields = {name: intent.get(name) for name in names}
    fields["amount_received"] = received(intent)
    fields["cancellation_reason"] = intent.get("cancellation_reason")
    fields["charge_id"] = charge_of(intent)
    fields["metadata"] = intent.get("metadata") or {}
    fields["status"] = intent.get("status")
    return fields


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
