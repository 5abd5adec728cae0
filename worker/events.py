"""Process one event: read it, ask its handler what it means, settle that."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import worker.handlers  # noqa: F401 - fills the registry
from shared.errors import CallerError, Inconsistent, NotYet
from shared.facts import CONTEXT_FIELDS, Fact
from shared.stripe.event import Event, parse_event
from shared.stripe.gateway import API_VERSION
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import OTHER_VERSION_EVENTS
from shared.work.items import Claim
from shared.work.outcomes import Outcomes
from shared.work.settlement import Established, finish_plan
from worker.policy import attempt
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


def process_event(runtime: Runtime, event_id: str) -> None:
    """Process the event if it is ours to process now; safe to call for any id, at any time."""
    act, settings = partial(_process, runtime), runtime.settings
    attempt(runtime.inbox.work, event_id, act, settings, settings.event_max_attempts)


def _process(runtime: Runtime, claim: Claim) -> str:
    event = _read(runtime, claim)
    handler = handler_of(event.type)
    if handler is None:
        return _ignored(runtime, claim, "no handler for this type")
    _count_version(runtime, claim, event)
    if event.thin:
        event = _resolve(runtime, event)
    Outcomes(runtime.store, runtime.settings).remember(event)
    if event.payment_id is None:
        return _ignored(runtime, claim, "it belongs to no payment")
    _await_payment(runtime, claim, event)
    facts = handler(event, runtime.gateway)
    established = Established(event.payment_id, facts, _context(runtime, event, facts))
    fields = {"object": str(event.object.get("id") or ""), "payment_id": event.payment_id}
    plan = finish_plan(claim, "processed", fields, runtime.settings)
    settled = runtime.settlement.settle(claim, established, plan)
    return "lost" if settled is None else "processed"


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


def _ignored(runtime: Runtime, claim: Claim, reason: str) -> str:
    """Finish an event that nothing follows from; the timeline of its payment says so."""
    if not runtime.inbox.ignore(claim, reason):
        return "lost"
    if payment_id := claim.fields.get("payment_id"):
        kind = claim.fields["type"]
        runtime.payments.note(
            payment_id, "event_ignored", event_id=claim.id, type=kind, reason=reason
        )
    return "ignored"


def _await_payment(runtime: Runtime, claim: Claim, event: Event) -> None:
    """Let a payment's own event come first, when a refund or a dispute has just overtaken it.

    Asked before anything is looked up at Stripe. Raises `NotYet`, for a short while only: an old
    payment's events may never come.
    """
    waited = claim.started_at.timestamp() - int(claim.fields["recorded_at"]) / 1000
    follows = event.object.get("object") in NEEDS_CONTEXT or event.type == "charge.refunded"
    if waited > PAYMENT_PATIENCE_SECONDS or not follows:
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
