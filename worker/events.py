"""Process one event: read it and ask its handler what it means."""

from __future__ import annotations

from dataclasses import replace

import worker.handlers  # noqa: F401 - fills the registry
from shared.errors import CallerError, Inconsistent, NotYet
from shared.facts import CONTEXT_FIELDS, Fact
from shared.keys import State
from shared.stripe.event import Event, parse_event
from shared.stripe.gateway import API_VERSION
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import OTHER_VERSION_EVENTS
from shared.work.items import Claim
from shared.work.outcomes import Outcomes
from shared.work.results import Done, Established
from worker.registry import handler_of
from worker.runtime import Runtime

log = get_logger(__name__)
# What is told of a refund or a dispute names the event and the user of its payment.
NEEDS_CONTEXT = ("refund", "dispute", "dispute_funds")
GIVES_CONTEXT = ("payment", "checkout", "charge")
# States in which a payment can be refunded or disputed.
PAID = ("succeeded", "requires_capture", "canceled")
# Events of one second race each other; those of one payment are all here within two, or late.
PAYMENT_PATIENCE_SECONDS = 2.0
SNOOZE_SECONDS = 0.2


def process_event(runtime: Runtime, claim: Claim) -> Done:
    """Learn what the event means; it writes nothing but what our own call made.

    Raises `NotYet` while its payment's own event is on its way, `Unavailable`, `CallerError` for
    an event that cannot be read, `Inconsistent`.
    """
    event = _read(runtime, claim)
    handler = handler_of(event.type)
    if handler is None:
        return _ignored("no handler for this type")
    _count_version(runtime, claim, event)
    if event.thin:
        event = _resolve(runtime, event)
    Outcomes(runtime.store, runtime.settings).remember(event)
    if event.payment_id is None:
        return _ignored("it belongs to no payment")
    _await_payment(runtime, claim, event)
    facts = handler(event, runtime.gateway)
    established = Established(event.payment_id, facts, _context(runtime, event, facts))
    fields = {"object": str(event.object.get("id") or ""), "payment_id": event.payment_id}
    return Done(State.PROCESSED, fields=fields, established=established)


def _ignored(reason: str) -> Done:
    return Done(State.IGNORED, fields={"reason": reason})


def _read(runtime: Runtime, claim: Claim) -> Event:
    """Read the payload; one that is no longer kept comes from Stripe's archive of 30 days."""
    if claim.body is not None:
        return parse_event(claim.body)
    return parse_event(runtime.gateway.event(claim.id, claim.fields.get("account")))


def _resolve(runtime: Runtime, event: Event) -> Event:
    """Fetch the object a thin event points at."""
    if event.related_url is None:
        raise Inconsistent("A thin event without a related object.", event_id=event.id)
    fetched = runtime.gateway.related_object(event.related_url, event.account)
    return replace(event, object=fetched)


def _await_payment(runtime: Runtime, claim: Claim, event: Event) -> None:
    """Let a payment's own event come first, when a refund or a dispute has just overtaken it.

    Asked before anything is looked up at Stripe. Raises `NotYet`, for a short while only: an old
    payment's events may never come.
    """
    follows = event.object.get("object") in NEEDS_CONTEXT or event.type == "charge.refunded"
    waited_ms = claim.claimed_at_ms - int(claim.fields["recorded_at"])
    if waited_ms > PAYMENT_PATIENCE_SECONDS * 1000 or not follows:
        return
    if runtime.payments.read(str(event.payment_id)).state.get("status") not in PAID:
        raise NotYet("Its payment's own event has not come.", delay_seconds=SNOOZE_SECONDS)


def _count_version(runtime: Runtime, claim: Claim, event: Event) -> None:
    """Count an event of another API version than ours, once; it is processed all the same."""
    if event.api_version in (None, API_VERSION) or claim.attempts > 1:
        return
    log.info("event_of_other_version", id=event.id, api_version=event.api_version)
    runtime.store.tally.count(OTHER_VERSION_EVENTS, api_version=str(event.api_version))


def _context(runtime: Runtime, event: Event, facts: list[Fact]) -> dict[str, str]:
    """Learn whose payment it is, when its own events have not told us: one look at Stripe.

    It only adorns the notification: a payment that Stripe does not show is told without it.
    """
    payment_id = event.payment_id or ""
    if not payment_id.startswith("pi_") or not any(f.family in NEEDS_CONTEXT for f in facts):
        return {}
    known = runtime.payments.read(payment_id).known
    families = {state["family"] for state in known.get("subjects", {}).values()}
    if known.get("context") or not families.isdisjoint(GIVES_CONTEXT):
        return {}
    try:
        intent = runtime.gateway.payment(payment_id, event.account)
    except CallerError as error:
        log.info("payment_not_shown", payment_id=payment_id, error=str(error))
        return {}
    found = dict(intent.get("metadata") or {}, customer_email=intent.get("receipt_email"))
    return {name: str(found[name]) for name in CONTEXT_FIELDS if found.get(name)}
