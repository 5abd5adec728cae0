"""Process one event: read it, and let its handler return the facts it establishes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import worker.handlers  # noqa: F401 - fills the registry
from shared.errors import Inconsistent, NotYet
from shared.facts import Fact
from shared.keys import State
from shared.stripe.amounts import captured
from shared.stripe.event import Event, parse_event, reference
from shared.stripe.gateway import API_VERSION
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import OTHER_VERSION_EVENTS
from shared.work.items import Claim
from shared.work.payments import PaymentRecord
from shared.work.results import Done, Established
from worker.belonging import (
    ended_refund,
    look_up_context,
    made_here,
    payment_of_event,
)
from worker.fraud_refunds import WARNING, refund_warned
from worker.lost_events import GENERATION_FAILURE, lost_event
from worker.registry import HANDLERS
from worker.runtime import Runtime

log = get_logger(__name__)
# Objects whose events may arrive before their payment's own events.
FOLLOWERS = ("refund", "dispute")
# An endpoint has one version, and an account a handful of endpoints.
VERSIONS_REMEMBERED = 64
# States in which a payment can be refunded or disputed.
PAID = ("succeeded", "requires_capture", "canceled")
# How long an event waits for its payment's own event. Stripe sends events of one second in any
# order; those of one payment usually all arrive within two seconds.
PAYMENT_PATIENCE_SECONDS = 2.0
SNOOZE_SECONDS = 0.2


def process_event(runtime: Runtime, claim: Claim) -> Done:
    """Return the facts that the event establishes, or why it is ignored.

    Writes only the object that an earlier call of ours made, and the refund of a fraud warning.
    Raises `NotYet` while the payment's own event is expected, `Unavailable`, `CallerError` for an
    event that cannot be read, `Inconsistent`.
    """
    event = _read(runtime, claim)
    if event.type == GENERATION_FAILURE:
        event = lost_event(event, runtime.gateway)
    handler = HANDLERS.get(event.type)
    if handler is None:
        return _ignored("no handler for this type")
    _count_version(runtime, claim, event)
    if event.thin:
        event = _resolve(runtime, event)
    runtime.outcomes.remember(event)
    payment_id = payment_of_event(runtime, event)
    object_id = reference(event.object)
    if payment_id is None or object_id is None:
        return _ignored("it belongs to no payment, or its object has no id")
    record = runtime.payments.read(payment_id)
    _await_payment(claim, event, record)
    ours = _is_ours(runtime, claim, event, record)
    if not ours and runtime.settings.others_payments == "ignore":
        return _ignored("this service did not make its payment")
    if event.type.startswith(WARNING):
        refund_warned(runtime, event, payment_id)
    facts = [_of_account(fact, event) for fact in handler(event, runtime.gateway)]
    if not ours:
        facts = [replace(fact, type=None) for fact in facts]
    context = look_up_context(runtime, event, record, facts)
    established = Established(payment_id, facts, context, record, event.charge_id)
    fields = {"object": object_id, "payment_id": payment_id}
    ended = ended_refund(runtime, event, facts)
    return Done(State.PROCESSED, fields=fields, established=established, ended=ended)


def _ignored(reason: str) -> Done:
    return Done(State.IGNORED, fields={"reason": reason})


def _read(runtime: Runtime, claim: Claim) -> Event:
    """Read the payload from Redis, or if it is gone from there, from Stripe (kept for 30 days)."""
    read_at = claim.claimed_at_ms // 1000
    if claim.body is not None:
        return replace(parse_event(claim.body), read_at=read_at)
    archived = runtime.gateway.event(claim.id, claim.fields.get("account"))
    return replace(parse_event(archived), read_at=read_at)


def _resolve(runtime: Runtime, event: Event) -> Event:
    """Fetch the object that a thin event names."""
    if event.related_url is None:
        raise Inconsistent("The thin event names no object.", stripe_event_id=event.id)
    fetched = runtime.gateway.related_object(event.related_url, event.account)
    return replace(event, object=fetched)


def _is_ours(runtime: Runtime, claim: Claim, event: Event, record: PaymentRecord) -> bool:
    """Say whether the event service is notified of this payment.

    It is if this service made the payment, or if the settings include the payments of others.
    Another event may still show that we made it: raises `NotYet` for a short while.
    """
    if runtime.settings.others_payments == "tell" or made_here(runtime, event, record):
        return True
    if claim.age_seconds < PAYMENT_PATIENCE_SECONDS:
        delay = PAYMENT_PATIENCE_SECONDS
        raise NotYet("No event shows yet that we made its payment.", delay_seconds=delay)
    return False


def _of_account(fact: Fact, event: Event) -> Fact:
    """Add the event's connected account, if any, to a fact."""
    return replace(fact, data=fact.data | {"account": event.account}) if event.account else fact


def _await_payment(claim: Claim, event: Event, record: PaymentRecord) -> None:
    """Let a payment's own event be processed first when a refund or a dispute arrived before it.

    Raises `NotYet`, only for a short while: the events of an old payment may never come. It is
    checked before any call to Stripe.
    """
    waited_ms = claim.claimed_at_ms - int(claim.fields["recorded_at"])
    if waited_ms > PAYMENT_PATIENCE_SECONDS * 1000 or not _follows(event, record.id):
        return
    if record.state.get("status") not in PAID:
        raise NotYet("The event of its payment has not arrived.", delay_seconds=SNOOZE_SECONDS)


def _follows(event: Event, payment_id: str) -> bool:
    """Say whether the event is about something after the payment: a refund, a dispute, the fee."""
    charge = event.object
    if charge.get("object") in FOLLOWERS or event.type == "charge.refunded":
        return True
    settled = charge.get("balance_transaction") and captured(charge)
    return payment_id.startswith("pi_") and bool(settled)


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
