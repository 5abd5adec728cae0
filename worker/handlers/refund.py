"""Events about a refund: it is pending, it succeeded, or the money was returned to us."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared import known_refunds
from shared.facts import Fact, of_account
from shared.refund_metadata import callers_own
from shared.stripe.amounts import (
    balance_change,
    moved_nothing,
    refund_change,
    refund_status,
    releases_a_hold,
)
from shared.stripe.event import Event, reference
from shared.stripe.gateway import StripeGateway
from shared.telemetry.logging import get_logger
from worker.look_ups import balance_transaction
from worker.registry import handles

log = get_logger(__name__)
Json = dict[str, Any]
# A refund may change between statuses of one rank, and to a higher rank but not to a lower one: a
# succeeded refund can still fail, and never the other way round.
STAGES = {"pending": 0, "requires_action": 0, "succeeded": 1, "failed": 2, "canceled": 2}


# why: each has the refund's status; charge.refund.updated is an older name of refund.updated
@handles("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
def refund_changed(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Notify of each status of a refund once, however many events have it."""
    refund, booked = event.object, event.object.get("balance_transaction")
    if isinstance(booked, str) and _is_newly_booked(event):
        transaction = _known_transaction(event) or balance_transaction(
            stripe, booked, event.account
        )
        refund = refund | {"balance_transaction": transaction or booked}
    return [refund_fact(event, refund, happened_at=event.created), *booked_facts(event, refund)]


def answered_facts(refund: Json, account: str | None, *, livemode: bool) -> list[Fact]:
    """Build the facts of Stripe's answer to our own refund, for its events, which notify of it.

    What the answer says is then known when the events come, so that none of them is looked up. Its
    rank is before that of any event of the same status, and after none.
    """
    created = int(refund.get("created") or 0)
    answer = Event(
        id="",
        type="refund.created",
        created=created,
        livemode=livemode,
        object=refund,
        account=account,
    )
    fact_of_status = refund_fact(answer, refund, happened_at=created)
    facts = [
        replace(fact_of_status, type=None, rank=fact_of_status.rank[:1]),
        *booked_facts(answer, refund),
    ]
    return [of_account(replace(fact, stripe_event_id=None), account) for fact in facts]


def booked_facts(event: Event, refund: Json) -> list[Fact]:
    """Build the fact of a refund's balance transaction, if known; empty list otherwise.

    It is a subject of its own, because no later status undoes it, and has no notification of its
    own: that of the refund has the sums if they are known by then. Its rank is the time of the
    transaction, the same whichever event brings it.
    """
    booked = refund.get("balance_transaction")
    sums = {} if releases_a_hold(refund) else balance_change(booked)
    if not sums:
        return []
    booked_at = booked.get("created") if isinstance(booked, dict) else None
    return [
        Fact(
            subject=f"{refund['id']}:settlement",
            family="refund_settlement",
            status=refund_status(refund),
            rank=(booked_at or event.created,),
            happened_at=event.created,
            snapshot=sums,
            data=sums,
            livemode=event.livemode,
            stripe_event_id=event.id,
        )
    ]


def _known_transaction(event: Event) -> Json:
    """Return what is known of a new refund's balance transaction; a change of it is looked up."""
    if event.type != "refund.created":
        return {}
    return known_refunds.booked(str(event.object["id"]), event.known.get("subjects", {}))


def _is_newly_booked(event: Event) -> bool:
    """Say whether the balance transaction may be new, so that it is looked up once per change."""
    changed = event.previous or {}
    return event.type == "refund.created" or bool({"status", "balance_transaction"} & {*changed})


def refund_fact(event: Event, refund: Json, *, happened_at: int) -> Fact:
    """Build the fact that a refund has a status.

    An unknown status, and a refund that only releases held money, are recorded without a
    notification.
    """
    # Refunds of the oldest API versions have no status, because they succeed at once.
    refund_id, status = str(refund["id"]), refund_status(refund)
    is_known, hold = status in STAGES, releases_a_hold(refund)
    if not is_known:
        log.warning("refund_status_unknown", refund_id=refund_id, status=status)
    return Fact(
        subject=refund_id,
        family="refund",
        status=status,
        rank=(STAGES.get(status, 0), event.created),
        happened_at=happened_at,
        snapshot=_snapshot(refund)
        | {"released_hold": hold, "unbooked": moved_nothing(refund, event.api_version)},
        type=f"refund.{status}" if is_known and not hold else None,
        key=f"{refund_id}:{status}",
        data=_data(refund),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _snapshot(refund: Json) -> Json:
    fields = {name: refund.get(name) for name in known_refunds.REFUND_FIELDS}
    fields["charge_id"] = reference(refund.get("charge"))
    fields["metadata"] = callers_own(refund.get("metadata"))
    return fields


def _data(refund: Json) -> Json:
    metadata = callers_own(refund.get("metadata"))
    return refund_change(refund) | {
        "payment_intent_id": reference(refund.get("payment_intent")),
        "charge_id": reference(refund.get("charge")),
        "refund_id": refund["id"],
        "amount": refund.get("amount"),
        "currency": refund.get("currency"),
        "reason": refund.get("reason"),
        "pending_reason": refund.get("pending_reason"),
        "failure_code": refund.get("failure_reason"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
        "metadata": metadata,
    }
