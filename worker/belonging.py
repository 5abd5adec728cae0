"""Which payment and which batch an event belongs to, and whose payment that is.

What an event does not contain comes from earlier events, or is looked up at Stripe.
"""

from __future__ import annotations

from typing import Any

from shared.facts import Fact
from shared.known_refunds import UNLISTED
from shared.payment_summary import context
from shared.stripe.amounts import as_intent, received
from shared.stripe.event import Event, reference
from shared.work.batches import MEMBER_PREFIX
from shared.work.outcomes import OUR_KEYS
from shared.work.payments import PaymentRecord
from worker import look_ups
from worker.runtime import Runtime

Json = dict[str, Any]
# Families of facts whose notifications name the concert and the user of their payment, which
# Stripe's own event does not contain.
NEEDS_CONTEXT = (
    "refund",
    UNLISTED,
    "dispute",
    "dispute_funds",
    "fraud_warning",
    "review",
)
GIVES_CONTEXT = ("payment", "checkout", "charge")
METADATA_FIELDS = ("event_id", "user_id")


def payment_of_event(runtime: Runtime, event: Event) -> str | None:
    """Return the id of the payment an event belongs to: its intent, or a charge without an intent.

    Refunds and disputes may name only their charge, whose intent is then looked up. Raises
    `Unavailable` when Redis or Stripe does not answer.
    """
    named, charge = event.payment_id, event.object.get("charge")
    if named is None or charge is None or reference(charge) != named:
        return named
    known = runtime.payments.intent_of(named)
    return known or look_ups.intent_of(runtime.gateway, named, event.account) or named


def ended_refund(runtime: Runtime, event: Event, facts: list[Fact]) -> str:
    """Return `job:event` if the event changes the refund of a batch's member, else ''.

    `refund.created` does not count: the refund job reports that state itself. Raises `Unavailable`.
    """
    if event.type == "refund.created":
        return ""
    for fact in facts:
        job = runtime.refund_jobs.job_of(fact.subject) if fact.family == "refund" else None
        if job and job.startswith(MEMBER_PREFIX):
            return f"{job}:{event.id}"
    return ""


def made_here(runtime: Runtime, event: Event, record: PaymentRecord) -> bool:
    """Say whether this service made the payment, or the refund that the event is about.

    The idempotency key of the request behind the event shows it, or the API's mark in Redis, or a
    concert or user in the metadata. Raises `Unavailable`.
    """
    payments, kind = runtime.payments, event.object.get("object")
    if (event.request_key or "").startswith(OUR_KEYS):
        if kind in ("payment_intent", "charge") and not payments.made_here(record.id):
            payments.remember_made_here(record.id, event.account)
        return True
    metadata = event.object.get("metadata") or {}
    if any(metadata.get(name) for name in METADATA_FIELDS) or payments.made_here(record.id):
        return True
    if kind == "refund" and runtime.refund_jobs.job_of(str(event.object["id"])):
        return True
    owner = context(record.known)
    return any(owner.get(name) for name in METADATA_FIELDS)


def look_up_context(
    runtime: Runtime, event: Event, record: PaymentRecord, facts: list[Fact]
) -> dict[str, str]:
    """Return the payment's concert, user and e-mail from Stripe, if no earlier event had them.

    They only complete the notification: without them it is sent all the same when Stripe does not
    show the payment. Raises `Unavailable`.
    """
    if not any(f.family in NEEDS_CONTEXT for f in facts):
        return {}
    known = record.known
    families = {state["family"] for state in known.get("subjects", {}).values()}
    if known.get("context") or not families.isdisjoint(GIVES_CONTEXT):
        return {}
    intent = _payment(runtime, record.id, event.account)
    metadata = intent.get("metadata") or {}
    fields = {name: metadata.get(name) for name in METADATA_FIELDS}
    fields["customer_email"] = intent.get("receipt_email")
    if intent.get("status") == "canceled" and not received(intent):
        fields["let_go"] = "true"
    return {name: str(value) for name, value in fields.items() if value}


def _payment(runtime: Runtime, payment_id: str, account: str | None) -> Json:
    """Look up an intent, or a charge in the form of an intent; empty if Stripe does not show it."""
    shown = look_ups.payment(runtime.gateway, payment_id, account)
    if not shown or payment_id.startswith("pi_"):
        return shown
    return as_intent(shown) | {"receipt_email": shown.get("receipt_email")}
