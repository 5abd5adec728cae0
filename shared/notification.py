"""The model of a notification's body: it builds what is sent, the contract and the page in docs.

`python -m shared.notification` writes the table of every type and its fields.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

Json = dict[str, Any]


class NotificationData(BaseModel):
    """The data of a notification; a field that does not apply, or is not known yet, is null."""

    payment_intent_id: str | None = Field(
        description="The payment intent; null for a charge or a checkout session without one.",
        examples=["pi_3QxYzA"],
    )
    charge_id: str | None = Field(description="The charge.", examples=["ch_3QxYzA"])
    refund_id: str | None = Field(
        description="The refund; null when Stripe made none, or does not let us list it.",
        examples=["re_3QxYzA"],
    )
    refund_request_id: str | None = Field(
        description="The refund job, when Stripe refused the refund or has not made it yet.",
        examples=["rr_0123456789abcdef0123456789abcdef"],
    )
    dispute_id: str | None = Field(description="The dispute.", examples=["du_1QxYzA"])
    checkout_session_id: str | None = Field(
        description="The checkout session.", examples=["cs_test_a1"]
    )
    refund_batch_id: str | None = Field(
        description="The batch of refunds.",
        examples=["rb_0123456789abcdef0123456789abcdef"],
    )
    fraud_warning_id: str | None = Field(
        description="The early fraud warning.", examples=["issfr_1QxYzA"]
    )
    review_id: str | None = Field(description="The review.", examples=["prv_1QxYzA"])
    account: str | None = Field(
        description="The connected account (Stripe Connect); null for our own.",
        examples=["acct_1QxYzA"],
    )
    status: str = Field(
        description="Stripe's status of the object; for a payment without an intent, the "
        "corresponding status of an intent.",
        examples=["succeeded"],
    )
    amount: int | None = Field(
        description="Amount requested: of a payment the amount to pay, of a refund or a dispute "
        "its own amount; in the smallest unit.",
        examples=[2000],
    )
    currency: str | None = Field(description="ISO 4217, of `amount`.", examples=["sgd"])
    amount_received: int | None = Field(
        description="Amount captured of a payment, which may differ from the authorised one.",
        examples=[1500],
    )
    amount_capturable: int | None = Field(
        description="Amount that is held and can still be captured.", examples=[0]
    )
    amount_refunded: int = Field(
        description="Amount of the payment that is refunded or being refunded, as far as known at "
        "that time; 0 for a batch, which has `amounts`.",
        examples=[0],
    )
    fee: int | None = Field(
        description="Stripe's fee, in the settlement currency; for a dispute the fees of all its "
        "movements.",
        examples=[88],
    )
    net: int | None = Field(
        description="Change of the balance; below zero for a refund or a dispute.",
        examples=[1412],
    )
    settlement_currency: str | None = Field(
        description="The currency of `fee` and `net`.", examples=["sgd"]
    )
    available_on: str | None = Field(
        description="When the net can be paid out, RFC 3339.", examples=["2026-11-28T00:00:00Z"]
    )
    reason: str | None = Field(
        description="Reason of a refund, a dispute, a review (opened or closed) or a fraud "
        "warning.",
        examples=["requested_by_customer"],
    )
    pending_reason: str | None = Field(
        description="Why a refund waits: `processing`, `insufficient_funds`, `charge_pending`.",
        examples=["insufficient_funds"],
    )
    counts: dict[str, int] | None = Field(
        description="Number of a batch's payments in each state.",
        examples=[{"not_begun": 0, "begun": 0, "refunded": 198, "failed": 1, "left_out": 1}],
    )
    amounts: dict[str, dict[str, int]] | None = Field(
        description="Sums of a batch's payments, by currency and within it by state.",
        examples=[{"sgd": {"refunded": 198000, "failed": 1000}}],
    )
    paused_reason: str | None = Field(
        description="Why a batch is paused: `requested` or `insufficient_funds`.",
        examples=["insufficient_funds"],
    )
    missing: dict[str, int] | None = Field(
        description="Amounts by currency that the balance lacks for the rest of a batch, if known.",
        examples=[{"sgd": 50000}],
    )
    cancellation_reason: str | None = Field(
        description="Why a payment was canceled: a caller's reason, or Stripe's `automatic`, "
        "`expired`, …",
        examples=["expired"],
    )
    due_by: str | None = Field(
        description="Last time at which evidence can be submitted, RFC 3339.",
        examples=["2026-12-10T23:59:59Z"],
    )
    failure_code: str | None = Field(
        description="Stripe's code; for a dispute its reason.", examples=["insufficient_funds"]
    )
    failure_message: str | None = Field(
        description="Stripe's explanation.", examples=["Your card has insufficient funds."]
    )
    customer_email: str | None = Field(
        description="Address that the receipt was sent to.", examples=["customer@example.com"]
    )
    event_id: str | None = Field(
        description="`event_id` of the payment's metadata: the concert.", examples=["123"]
    )
    user_id: str | None = Field(
        description="`user_id` of the payment's metadata.", examples=["456"]
    )
    metadata: dict[str, str] = Field(
        description="Metadata of the object; empty when there is none.",
        examples=[{"event_id": "123", "user_id": "456"}],
    )
    stripe_event_id: str | None = Field(
        description="Stripe's event that caused the notification; null when there was none.",
        examples=["evt_1QxYzA"],
    )


class Notification(BaseModel):
    """One notification, as it is posted to the event service (Standard Webhooks)."""

    id: str = Field(
        description="The same at every retry and after a rebuild: dedupe on it.",
        examples=["ntf_ivaonftkjtjhzsrcrlkvt3dpfy"],
    )
    type: str
    timestamp: str = Field(
        description="Time of the fact, RFC 3339.", examples=["2026-11-22T10:00:00Z"]
    )
    sequence: int = Field(description="Grows by one within a payment.", examples=[1])
    livemode: bool = Field(examples=[False])
    data: NotificationData


DATA_FIELDS = tuple(NotificationData.model_fields)
# Fields that any notification may have.
_ANY = (
    "payment_intent_id",
    "account",
    "customer_email",
    "event_id",
    "user_id",
    "stripe_event_id",
)
_ALWAYS = ("status", "amount_refunded", "metadata")
_FEES = ("fee", "net", "settlement_currency", "available_on")
_PAYMENT = ("amount", "currency", "amount_received")
_PAYMENT_MAY = ("charge_id", "amount_capturable", *_FEES)
_REFUND = ("refund_id", "amount", "currency")
_RETURNED_MAY = ("charge_id", "reason")
_REFUND_MAY = (*_RETURNED_MAY, *_FEES)
_DISPUTE = ("dispute_id", "amount", "currency")
_DISPUTE_MAY = ("charge_id", "reason", "failure_code", "due_by", *_FEES)
_REVIEW_MAY = ("charge_id", "reason")
_SESSION_MAY = ("amount", "currency")
_BATCH = ("refund_batch_id", "counts", "amounts")


@dataclass(frozen=True)
class NotificationType:
    """The meaning of one type of notification, and the fields that only it fills."""

    meaning: str
    own_always: tuple[str, ...]
    own_sometimes: tuple[str, ...]

    @property
    def always(self) -> tuple[str, ...]:
        """Name the fields that are never null in it."""
        return (*_ALWAYS, *self.own_always)

    @property
    def sometimes(self) -> tuple[str, ...]:
        """Name the fields that are null in it when they do not apply or are not known."""
        return (*_ANY, *self.own_sometimes)


def _payment(meaning: str, *more: str) -> NotificationType:
    return NotificationType(meaning, _PAYMENT, (*_PAYMENT_MAY, *more))


def _refund(meaning: str, *more: str) -> NotificationType:
    return NotificationType(meaning, _REFUND, (*_REFUND_MAY, *more))


def _dispute(meaning: str) -> NotificationType:
    return NotificationType(meaning, _DISPUTE, _DISPUTE_MAY)


def _batch(
    meaning: str, always: tuple[str, ...] = (), more: tuple[str, ...] = ()
) -> NotificationType:
    return NotificationType(meaning, (*_BATCH, *always), ("reason", *more))


def _session(meaning: str) -> NotificationType:
    return NotificationType(meaning, ("checkout_session_id",), _SESSION_MAY)


FAILURE = ("failure_code", "failure_message")
# A refund without an id: refused, waiting for balance, or one that we may not list.
UNLISTED = ("refund_id", "refund_request_id", "amount", "currency")
# No event of Stripe's causes it: an operator sends it (POST /ops/notifications/test).
TEST = "test.notification"
TYPES: dict[str, NotificationType] = {
    "payment.succeeded": _payment("The payment succeeded: `amount_received` was captured."),
    "payment.failed": _payment("An attempt failed; the customer may try again.", *FAILURE),
    "payment.canceled": _payment(
        "The payment was canceled; nobody can pay it any more.", "cancellation_reason"
    ),
    "payment.processing": _payment("A bank debit is under way; it may take days."),
    "payment.requires_action": _payment("The customer must authenticate (3D Secure)."),
    "payment.authorized": _payment("The amount `amount_capturable` is held."),
    "payment.partially_captured": _payment(
        "A part of the held money was captured, the rest is still held."
    ),
    "payment.settled": NotificationType(
        "Stripe's fee and the net amount are known.",
        ("charge_id", "amount", "currency", "amount_received", *_FEES[:3]),
        ("available_on",),
    ),
    "payment.fraud_warning": NotificationType(
        "The card's issuer reports fraud; a refund in time avoids the dispute. `status` is "
        "`actionable` or `not_actionable`.",
        ("fraud_warning_id",),
        ("charge_id", "reason"),
    ),
    "payment.review_opened": NotificationType(
        "Stripe or a rule of yours asks a person to review the payment.",
        ("review_id",),
        _REVIEW_MAY,
    ),
    "payment.review_closed": NotificationType(
        "The review ended: `reason` is the result.", ("review_id",), _REVIEW_MAY
    ),
    "refund.pending": NotificationType(
        "The money is on its way back, or the refund waits: see `pending_reason`.",
        (),
        (*UNLISTED, *_REFUND_MAY, "pending_reason", *FAILURE),
    ),
    "refund.requires_action": _refund(
        "The customer must act to receive the refund.", "pending_reason"
    ),
    "refund.succeeded": NotificationType("The money was returned.", (), (*UNLISTED, *_REFUND_MAY)),
    "refund.failed": NotificationType(
        "Stripe refused the refund, or the bank returned it: the money is in our balance again.",
        (),
        (*UNLISTED, *_RETURNED_MAY, *FAILURE),
    ),
    "refund.canceled": NotificationType(
        "The refund was canceled before the money left.", _REFUND, (*_RETURNED_MAY, *FAILURE)
    ),
    "refund_batch.started": _batch("A batch of refunds was accepted and begins."),
    "refund_batch.paused": _batch(
        "The batch begins no more refunds until it is resumed, or the balance is high enough.",
        ("paused_reason",),
        ("missing",),
    ),
    "refund_batch.completed": _batch(
        "All refunds of the batch have ended; `status` is `canceled` if the batch was canceled."
    ),
    "dispute.opened": _dispute(
        "The bank asks about the payment or takes the money back: answer before `due_by`."
    ),
    "dispute.updated": _dispute("The state of the dispute changed: see `status`."),
    "dispute.won": _dispute("The bank decided for you."),
    "dispute.lost": _dispute("The bank decided for the customer."),
    "dispute.closed": _dispute("The dispute ended without a decision."),
    "dispute.funds_withdrawn": _dispute(
        "The money left the balance; `net` is the sum of all movements so far."
    ),
    "dispute.funds_reinstated": _dispute(
        "The money was returned to the balance; `net` is the sum of all movements so far."
    ),
    "checkout.completed": _session(
        "The customer completed the session; a delayed payment may still come."
    ),
    "checkout.expired": _session("The session expired without a payment."),
    "checkout.payment_succeeded": _session("The delayed payment succeeded."),
    "checkout.payment_failed": _session("The delayed payment failed."),
    TEST: NotificationType("An operator tests the delivery; it belongs to no payment.", (), ()),
}


def example(name: str) -> Json:
    """Build an example of a type: its own fields are filled, all others are null."""
    type_ = TYPES[name]
    filled = {*type_.always, *type_.sometimes}
    data: Json = {
        field: info.examples[0] if field in filled and info.examples else None
        for field, info in NotificationData.model_fields.items()
    }
    data["status"] = _STATUSES.get(name, name.partition(".")[2])
    head = {
        field: info.examples[0]
        for field, info in Notification.model_fields.items()
        if info.examples
    }
    return head | {"type": name, "data": data}


_STATUSES = {
    "payment.failed": "requires_payment_method",
    "payment.authorized": "requires_capture",
    "payment.partially_captured": "requires_capture",
    "payment.settled": "succeeded",
    "payment.fraud_warning": "actionable",
    "payment.review_opened": "open",
    "payment.review_closed": "closed",
    "dispute.opened": "needs_response",
    "dispute.updated": "under_review",
    "dispute.closed": "warning_closed",
    "dispute.funds_withdrawn": "needs_response",
    "dispute.funds_reinstated": "won",
    "refund_batch.started": "running",
    "checkout.completed": "paid",
    "checkout.expired": "unpaid",
    "checkout.payment_succeeded": "paid",
    "checkout.payment_failed": "unpaid",
}


def markdown() -> str:
    """Render the page of the docs: every type with its fields, and every field."""
    rows = [*_INTRODUCTION, "| Type | Meaning | Always filled | Null when unknown |"]
    rows.append("| --- | --- | --- | --- |")
    for name, type_ in TYPES.items():
        filled, perhaps = _names(type_.own_always), _names(type_.own_sometimes)
        rows.append(f"| `{name}` | {type_.meaning} | {filled} | {perhaps} |")
    rows += ["", "| Field | Meaning |", "| --- | --- |"]
    rows += [f"| `{n}` | {f.description} |" for n, f in NotificationData.model_fields.items()]
    return "\n".join(rows) + "\n"


def _names(fields: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in fields) or "–"


_INTRODUCTION = (
    "# Notifications",
    "",
    "This page lists every type of notification and the fields of its `data`. Times are RFC 3339",
    "in UTC, amounts in the smallest unit of the currency beside them.",
    "",
    f"Every type fills {_names(_ALWAYS)}; it also fills each of",
    f"{_names(_ANY)} when the value is known.",
    "The row of a type lists its other fields; all fields that the row does not name are null.",
    "",
    "`bin/notification-docs` generates this page from `shared/notification.py`, the model that",
    "builds every notification; tests compare every notification with this table.",
    "",
)


if __name__ == "__main__":
    sys.stdout.write(markdown())
