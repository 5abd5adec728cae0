"""Events about a charge: entries of the timeline, and the state of a payment without an intent."""

from __future__ import annotations

from typing import Any

from shared.errors import CallerError, Misconfigured, NotYet
from shared.facts import Fact
from shared.known_refunds import UNLISTED, of_sum
from shared.stripe.amounts import UNKNOWN, as_intent, balance_change, captured, let_go, released
from shared.stripe.event import Event, items, payment_of, reference
from shared.stripe.gateway import StripeGateway
from worker.handlers.refund import booked_facts, refund_fact
from worker.look_ups import is_hidden
from worker.registry import handles

Json = dict[str, Any]
# The order of a charge's states; of several events of one second, the last in it counts.
COURSE = ("pending", "failed", "expired", "succeeded", "captured", "updated", "refunded")
# A charge without an intent has one end; `succeeded` outranks the others.
STAGES = {"authorized": 0, "canceled": 1, "failed": 1, "succeeded": 2}
# Pause until Stripe lists a refund that an event has announced.
LOOK_AGAIN_SECONDS = 5.0
# How long to wait for the refunds' own events where our key may not list refunds.
OWN_EVENTS_SECONDS = 20


# why: a charge without a payment intent has no other event that says how the payment stands
@handles("charge.succeeded", "charge.failed", "charge.captured", "charge.expired")
def charged(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Record the charge; notify of the payment's state if it has no payment intent."""
    facts = [charge_fact(event)]
    if not reference(event.object.get("payment_intent")):
        facts.append(_payment_fact(event, _standing(event)))
    return facts + _settlement_facts(event, stripe)


# why: it brings Stripe's fee, which is known only after the payment succeeded
@handles("charge.updated")
def updated(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Record the change of the charge; notify of fee and net amount when Stripe knows them."""
    return [charge_fact(event), *_settlement_facts(event, stripe)]


@handles("charge.pending")  # why: the timeline shows what became of the charge
def pending(event: Event, _: StripeGateway) -> list[Fact]:
    """Record the charge; no notification."""
    return [charge_fact(event)]


# why: an endpoint may subscribe to no refund.* event, and this one does not say which refund it is
@handles("charge.refunded")
def refunded(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Notify of each of the charge's refunds, as its own events would; look up what is not known.

    Old API versions count a released hold as refunded, though no money moved; then nothing is
    looked up. Raises `NotYet` while Stripe does not list the refund that the event is about.
    """
    charge = event.object
    if not captured(charge):
        return [charge_fact(event), *_hold_released(event)]
    hold = released(charge, event.api_version)
    if hold and int(charge.get("amount_refunded") or 0) <= hold:
        return [charge_fact(event)]
    stored = [] if hold else _known_refunds(event)
    try:
        booked = stored and all("balance_transaction" in refund for refund in stored)
        refunds = stored if booked else _refunds(charge, stripe, event.account)
    except (CallerError, Misconfigured) as error:
        if not is_hidden(error):
            raise
        if not stored:
            return [charge_fact(event), _unlisted_fact(event)]
        refunds = stored
    if not _contains_own_refunds(refunds, event):
        raise NotYet(
            "Stripe does not list the refund yet.",
            code="refund_not_listed",
            delay_seconds=LOOK_AGAIN_SECONDS,
        )
    return [charge_fact(event), *_refund_facts(event, refunds[::-1], hold)]


def _known_refunds(event: Event) -> list[Json]:
    """Return the charge's refunds, newest first, if the state of its payment has all of them."""
    charge, subjects = event.object, event.known.get("subjects", {})
    return of_sum(str(charge["id"]), int(charge["amount_refunded"] or 0), event.created, subjects)


def _refund_facts(event: Event, refunds: list[Json], hold: int) -> list[Fact]:
    """Build the facts of refunds (oldest first), each with its time, without a released hold."""
    first = refunds[0] if refunds else {}
    if hold and first.get("amount") == hold and not first.get("reason"):
        refunds = refunds[1:]
    facts: list[Fact] = []
    for refund in refunds:
        own = refund | {"payment_intent": _intent(refund, event.object)}
        facts.append(refund_fact(event, own, happened_at=_made_at(refund, event)))
        facts += booked_facts(event, refund)
    return facts


def _made_at(refund: Json, event: Event) -> int:
    created = refund.get("created")
    return created if isinstance(created, int) else event.created


def _intent(refund: Json, charge: Json) -> str | None:
    return reference(refund.get("payment_intent")) or reference(charge.get("payment_intent"))


def _refunds(charge: Json, stripe: StripeGateway, account: str | None) -> list[Json]:
    """List the charge's refunds, newest first; those in the event if Stripe lists none.

    Raises Stripe's refusal if the event has none either.
    """
    embedded = items(charge.get("refunds"))
    try:
        return stripe.refunds_of(account, charge=str(charge["id"])) or embedded
    except (CallerError, Misconfigured) as error:
        if embedded and is_hidden(error):
            return embedded
        raise


def _contains_own_refunds(refunds: list[Json], event: Event) -> bool:
    """Say whether the refunds contain those of the event: consecutive ones that add up to it."""
    before = (event.previous or {}).get("amount_refunded")
    if before is None:
        return bool(refunds)
    increase = int(event.object.get("amount_refunded") or 0) - int(before)
    sums, total = {0}, 0
    for refund in refunds:
        total += int(refund.get("amount") or 0)
        if total - increase in sums:
            return True
        sums.add(total)
    return False


def _unlisted_fact(event: Event) -> Fact:
    """Build the fact of a refund from this event alone, where our key may not list refunds.

    The refund's own events have more data, so raises `NotYet` for a while; the fact is notified
    only if none of them has arrived.
    """
    charge = event.object
    if event.read_at - event.created < OWN_EVENTS_SECONDS:
        raise NotYet(
            "The key may not list refunds; waiting for the refund's own events.",
            code="refund_not_shown",
            delay_seconds=LOOK_AGAIN_SECONDS,
        )
    total = int(charge.get("amount_refunded") or 0)
    before = int((event.previous or {}).get("amount_refunded") or 0)
    subject = f"{charge['id']}:refunded:{total}"
    return Fact(
        subject=subject,
        family=UNLISTED,
        status="succeeded",
        rank=(event.created,),
        happened_at=event.created,
        snapshot={
            "amount_refunded": total - released(charge, event.api_version),
            "added": total - before,
        },
        type="refund.succeeded",
        key=subject,
        data=_data(charge) | {"amount": total - before, "amount_received": None},
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _hold_released(event: Event) -> list[Fact]:
    """Build the fact that a charge without an intent can no longer be captured."""
    if reference(event.object.get("payment_intent")) or not event.object.get("refunded"):
        return []
    return [_payment_fact(event, "canceled")]


def _settlement_facts(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Build the fact of fee and net amount, if this event brings the balance transaction."""
    charge, booked = event.object, event.object.get("balance_transaction")
    changed = event.previous is None or "balance_transaction" in event.previous
    if not booked or not charge.get("captured") or (event.type == "charge.updated" and not changed):
        return []
    if isinstance(booked, str):
        try:
            booked = stripe.balance_transaction(booked, event.account)
        except (CallerError, Misconfigured) as error:
            if not is_hidden(error):
                raise
            return []
    sums = balance_change(booked)
    return [_settled_fact(event, sums)] if sums else []


def _settled_fact(event: Event, sums: Json) -> Fact:
    charge = event.object
    return Fact(
        subject=f"{charge['id']}:settlement",
        family="settlement",
        status=str(charge.get("status") or UNKNOWN),
        rank=(event.created,),
        happened_at=event.created,
        snapshot=sums,
        type="payment.settled",
        key=str(charge["id"]),
        data=_data(charge) | sums,
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def charge_fact(event: Event) -> Fact:
    """Build the fact of a charge's state, which only the timeline shows."""
    charge = event.object
    change = event.type.removeprefix("charge.")
    return Fact(
        subject=str(charge["id"]),
        family="charge",
        status=str(charge.get("status") or UNKNOWN),
        rank=(event.created,),
        tie=(COURSE.index(change), int(charge.get("amount_refunded") or 0)),
        happened_at=event.created,
        snapshot=_snapshot(event),
        data=_data(charge),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _payment_fact(event: Event, outcome: str) -> Fact:
    """Build the fact of the state of a payment that has a charge and no intent."""
    charge, intent = event.object, _as_intent(event, outcome)
    return Fact(
        subject=f"{charge['id']}:payment",
        family="payment",
        status=str(intent["status"]),
        rank=(STAGES[outcome], event.created),
        happened_at=event.created,
        snapshot=intent,
        type=f"payment.{outcome}",
        key=str(payment_of(charge)),
        data=_data(charge) | {"amount_capturable": intent["amount_capturable"]},
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _as_intent(event: Event, outcome: str) -> Json:
    """Return the charge in the form of an intent, as far as is known; a hold may have expired."""
    charge = event.object
    intent = let_go(as_intent(charge)) if outcome == "canceled" else as_intent(charge)
    created, livemode = charge.get("created") or event.created, event.livemode
    own = {"latest_charge": None, "charge_id": charge["id"], "let_go": outcome == "canceled"}
    return intent | own | {"created": created, "livemode": livemode}


def _standing(event: Event) -> str:
    if event.object.get("status") == "failed":
        return "failed"
    if event.object.get("captured"):
        return "succeeded"
    return "canceled" if event.type == "charge.expired" else "authorized"


def _snapshot(event: Event) -> Json:
    charge, came = event.object, captured(event.object)
    names = ("amount", "amount_captured", "amount_refunded", "currency", "refunded", "disputed")
    fields = {name: charge.get(name) for name in names}
    fields["amount_received"], fields["livemode"] = came, event.livemode
    ended = charge.get("refunded") or event.type == "charge.expired"
    fields["let_go"] = bool(ended) and not came
    return fields | {"receipt_url": charge.get("receipt_url"), "captured": charge.get("captured")}


def _data(charge: Json) -> Json:
    metadata = charge.get("metadata") or {}
    return {
        "payment_intent_id": reference(charge.get("payment_intent")),
        "charge_id": charge["id"],
        "amount": charge.get("amount"),
        "amount_received": captured(charge),
        "currency": charge.get("currency"),
        "failure_code": charge.get("failure_code"),
        "failure_message": charge.get("failure_message"),
        "customer_email": charge.get("receipt_email"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
        "metadata": metadata,
    }
