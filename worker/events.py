"""Process one event: read it, and let its handler return the facts it establishes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import worker.handlers  # noqa: F401 - fills the registry
from shared.errors import NotYet
from shared.facts import Fact, of_account
from shared.keys import State
from shared.known_refunds import UNLISTED
from shared.payment_summary import context
from shared.stripe.amounts import captured, received
from shared.stripe.event import Event, parse_event, reference
from shared.stripe.gateway import API_VERSION
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import OTHER_VERSION_EVENTS
from shared.work.batches import MEMBER_PREFIX
from shared.work.items import Claim
from shared.work.outcomes import OUR_KEYS
from shared.work.payments import PaymentRecord
from shared.work.results import Done, Established
from worker import look_ups
from worker.fraud_refunds import WARNING, refund_warned
from worker.lost_events import GENERATION_FAILURE, lost_event
from worker.registry import HANDLERS
from worker.runtime import Runtime

log = get_logger(__name__)
Json = dict[str, Any]
# Objects whose events may arrive before their payment's own events.
FOLLOWERS = ("refund", "dispute")
# An endpoint has one version, and an account a handful of endpoints.
VERSIONS_REMEMBERED = 64
# States in which a payment can be refunded or disputed.
PAID_STATES = ("succeeded", "requires_capture", "canceled")
# How long an event waits for its payment's own event. Stripe sends events of one second in any
# order; those of one payment usually all arrive within two seconds.
PAYMENT_PATIENCE_SECONDS = 2.0
SNOOZE_SECONDS = 0.2
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


def process_event(runtime: Runtime, claim: Claim) -> Done:
    """Return the facts that the event establishes, or why it is ignored.

    Writes only which refund an earlier call of ours made, and the refund of a fraud warning.
    Raises `NotYet` while the payment's own event is expected, `Unavailable`, `CallerError` for an
    event that cannot be read, `Inconsistent`.
    """
    event = _read(runtime, claim)
    if event.type == GENERATION_FAILURE:
        event = lost_event(event, runtime.gateway)
    handler = HANDLERS.get(event.type)
    if handler is None:
        return _ignore("no handler for this type")
    _count_version(runtime, claim, event)
    event = _with_object(runtime, event)
    if event.object.get("object") == "refund":
        runtime.outcomes.remember_refund(event)
    payment_id = _payment_of_event(runtime, event)
    object_id = reference(event.object)
    if payment_id is None or object_id is None:
        return _ignore("it belongs to no payment, or its object has no id")
    record = runtime.payments.read(payment_id)
    _await_payment(claim, event, record)
    ours = _is_ours(runtime, claim, event, record)
    if not ours and runtime.settings.others_payments == "ignore":
        return _ignore("this service did not make its payment")
    if event.type.startswith(WARNING):
        refund_warned(runtime, event, payment_id)
    event = replace(event, known=record.known)
    facts = [of_account(fact, event.account) for fact in handler(event, runtime.gateway)]
    if not ours:
        facts = [replace(fact, type=None) for fact in facts]
    looked_up = _look_up_context(runtime, event, record, facts)
    established = Established(
        payment_id, facts, looked_up, record, event.charge_id, _our_key(event)
    )
    fields = {"object": object_id, "payment_id": payment_id}
    refund_end = _ended_refund(runtime, event, facts)
    return Done(State.PROCESSED, fields=fields, established=established, ended=refund_end)


def _ignore(reason: str) -> Done:
    return Done(State.IGNORED, fields={"reason": reason})


def _read(runtime: Runtime, claim: Claim) -> Event:
    """Read the payload from Redis, or if it is gone from there, from Stripe (kept for 30 days)."""
    read_at = claim.claimed_at_ms // 1000
    if claim.body is not None:
        return parse_event(claim.body, read_at)
    return parse_event(runtime.gateway.event(claim.id, claim.fields.get("account")), read_at)


def _with_object(runtime: Runtime, event: Event) -> Event:
    """Fetch the object a thin event points at; a snapshot has its own."""
    if event.object or event.related_url is None:
        return event
    return replace(event, object=runtime.gateway.related_object(event.related_url, event.account))


def _our_key(event: Event) -> str:
    """Return the idempotency key of our call, if the event tells what it did to an intent."""
    key = event.request_key or ""
    is_intent = event.object.get("object") == "payment_intent"
    return key if is_intent and key.startswith(OUR_KEYS) else ""


def _payment_of_event(runtime: Runtime, event: Event) -> str | None:
    """Return the id of the payment an event belongs to: its intent, or a charge without an intent.

    Refunds and disputes may name only their charge, whose intent is then looked up. Raises
    `Unavailable` when Redis or Stripe does not answer.
    """
    owner_id, charge = event.payment_id, event.object.get("charge")
    if owner_id is None or charge is None or reference(charge) != owner_id:
        return owner_id
    intent_id = runtime.payments.intent_of(owner_id)
    return intent_id or look_ups.intent_of(runtime.gateway, owner_id, event.account) or owner_id


def _is_ours(runtime: Runtime, claim: Claim, event: Event, record: PaymentRecord) -> bool:
    """Say whether the event service is notified of this payment.

    It is if this service made the payment, or if the settings include the payments of others.
    Another event may still show that we made it: raises `NotYet` for a short while.
    """
    if runtime.settings.others_payments == "tell" or _made_here(runtime, event, record):
        return True
    if claim.age_seconds < PAYMENT_PATIENCE_SECONDS:
        delay = PAYMENT_PATIENCE_SECONDS
        raise NotYet("No event shows yet that we made its payment.", delay_seconds=delay)
    return False


def _made_here(runtime: Runtime, event: Event, record: PaymentRecord) -> bool:
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


def _await_payment(claim: Claim, event: Event, record: PaymentRecord) -> None:
    """Let a payment's own event be processed first when a refund or a dispute arrived before it.

    Raises `NotYet`, only for a short while: the events of an old payment may never come. It is
    checked before any call to Stripe.
    """
    waited_ms = claim.claimed_at_ms - int(claim.fields["recorded_at"])
    if waited_ms > PAYMENT_PATIENCE_SECONDS * 1000 or not _follows(event, record.id):
        return
    if record.state.get("status") not in PAID_STATES:
        raise NotYet("The event of its payment has not arrived.", delay_seconds=SNOOZE_SECONDS)


def _follows(event: Event, payment_id: str) -> bool:
    """Say whether the event is about something after the payment: a refund, a dispute, the fee."""
    charge = event.object
    if charge.get("object") in FOLLOWERS or event.type == "charge.refunded":
        return True
    settled = charge.get("balance_transaction") and captured(charge)
    return payment_id.startswith("pi_") and bool(settled)


def _look_up_context(
    runtime: Runtime, event: Event, record: PaymentRecord, facts: list[Fact]
) -> dict[str, str]:
    """Return the payment's concert, user and e-mail from Stripe, if no earlier event had them.

    They only complete the notification: without them it is sent all the same when Stripe does not
    show the payment. Raises `Unavailable`.
    """
    if not any(f.family in NEEDS_CONTEXT for f in facts):
        return {}
    payment_state = record.known
    families = {state["family"] for state in payment_state.get("subjects", {}).values()}
    if payment_state.get("context") or not families.isdisjoint(GIVES_CONTEXT):
        return {}
    intent = look_ups.payment_as_intent(runtime.gateway, record.id, event.account)
    metadata = intent.get("metadata") or {}
    fields = {name: metadata.get(name) for name in METADATA_FIELDS}
    fields["customer_email"] = intent.get("receipt_email")
    if intent.get("status") == "canceled" and not received(intent):
        fields["let_go"] = "true"
    return {name: str(value) for name, value in fields.items() if value}


def _ended_refund(runtime: Runtime, event: Event, facts: list[Fact]) -> str:
    """Return `job:event` if the event changes the refund of a batch's member, else ''.

    `refund.created` does not count: the refund job reports that state itself. Nor does a state that
    is known: the event or the job that brought it reported it. Raises `Unavailable`.
    """
    if event.type == "refund.created":
        return ""
    for fact in facts:
        if fact.family != "refund" or _is_known(fact, event.known):
            continue
        job = runtime.refund_jobs.job_of(fact.subject)
        if job and job.startswith(MEMBER_PREFIX):
            return f"{job}:{event.id}"
    return ""


def _is_known(fact: Fact, known: Json) -> bool:
    """Say whether a fact has the known status of its refund, with the same reasons."""
    stored = known.get("subjects", {}).get(fact.subject)
    if stored is None or stored["status"] != fact.status:
        return False
    reasons = ("pending_reason", "failure_reason")
    return all(stored["snapshot"].get(name) == fact.snapshot.get(name) for name in reasons)


def _count_version(runtime: Runtime, claim: Claim, event: Event) -> None:
    """Count an event of another API version than ours once; it is processed anyway."""
    if event.api_version in (None, API_VERSION) or claim.attempts > 1:
        return
    _warn_of_version(str(event.api_version))
    runtime.store.tally.count(OTHER_VERSION_EVENTS, api_version=str(event.api_version))


@lru_cache(maxsize=VERSIONS_REMEMBERED)
def _warn_of_version(api_version: str) -> None:
    """Log another API version once in this process; the counter says how many events have it."""
    log.warning("event_of_other_version", api_version=api_version, our_version=API_VERSION)
