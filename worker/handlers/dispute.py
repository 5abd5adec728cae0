"""Events about a dispute: a customer's bank takes money back, or inquires about a payment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.facts import Fact
from shared.stripe.amounts import UNKNOWN, balance_change
from shared.stripe.event import Event, reference
from shared.stripe.gateway import StripeGateway
from worker.look_ups import balance_transaction
from worker.registry import handles

Json = dict[str, Any]
# The order of a dispute's stages and of its statuses, for events of one second.
STAGES = {"opened": 0, "updated": 1, "ended": 2}
COURSE = (
    "warning_needs_response",
    "warning_under_review",
    "needs_response",
    "under_review",
    "appeal_needs_response",
    "appeal_under_review",
)
ENDS = {"won": "won", "lost": "lost", "warning_closed": "closed", "prevented": "closed"}


@handles("charge.dispute.created")  # why: evidence is due within days
def dispute_opened(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Notify that a dispute was opened: an inquiry (`warning_…`) or a chargeback."""
    return [_dispute_fact(_with_transactions(event, stripe), "opened", "opened")]


@handles("charge.dispute.updated")  # why: the bank reviews the evidence, or an inquiry escalates
def dispute_updated(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Notify of a dispute's change, once for each status; a final status gives its outcome."""
    ended = ENDS.get(str(event.object.get("status")))
    return [
        _dispute_fact(
            _with_transactions(event, stripe), "ended" if ended else "updated", ended or "updated"
        )
    ]


@handles("charge.dispute.closed")  # why: decides whether the money came back
def dispute_closed(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Notify how a dispute ended: won, lost, or closed without a decision."""
    ended = ENDS.get(str(event.object.get("status")), "closed")
    return [_dispute_fact(_with_transactions(event, stripe), "ended", ended)]


# why: the disputed amount was taken from the balance, or returned to it
@handles("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated")
def funds_moved(event: Event, stripe: StripeGateway) -> list[Fact]:
    """Notify that money moved; a subject of its own, because no later status undoes it."""
    direction = event.type.rpartition(".")[2]
    subject = f"{event.object['id']}:{direction}:{event.object.get('status')}"
    event = _with_transactions(event, stripe)
    return [_fact(event, direction, subject=subject, family="dispute_funds", rank=(event.created,))]


def _with_transactions(event: Event, stripe: StripeGateway) -> Event:
    """Look up the balance transactions that a dispute only names; use all of them or none."""
    dispute = event.object
    references = dispute.get("balance_transactions") or dispute.get("balance_transaction")
    moves = references if isinstance(references, list) else [references]
    if not any(isinstance(one, str) for one in moves):
        return event
    transactions = [
        balance_transaction(stripe, one, event.account) if isinstance(one, str) else one
        for one in moves
    ]
    sums = {
        "balance_transactions": transactions if all(transactions) else [],
        "balance_transaction": None,
    }
    return replace(event, object=dispute | sums)


def _dispute_fact(event: Event, stage: str, change: str) -> Fact:
    """Build the fact that a dispute reached a stage; a later event may reopen it (an appeal)."""
    rank = (event.created, STAGES[stage])
    return _fact(event, change, subject=str(event.object["id"]), family="dispute", rank=rank)


def _fact(event: Event, change: str, *, subject: str, family: str, rank: tuple[int, ...]) -> Fact:
    dispute = event.object
    status = str(dispute.get("status") or UNKNOWN)
    return Fact(
        subject=subject,
        family=family,
        status=status,
        rank=rank,
        tie=(COURSE.index(status) if status in COURSE else len(COURSE),),
        happened_at=event.created,
        snapshot=_snapshot(dispute),
        type=f"dispute.{change}",
        key=str(dispute["id"]) if change == "opened" else f"{dispute['id']}:{status}",
        data=_data(dispute),
        livemode=event.livemode,
        stripe_event_id=event.id,
    )


def _snapshot(dispute: Json) -> Json:
    fields = {name: dispute.get(name) for name in ("amount", "currency", "reason", "created")}
    fields["charge_id"] = reference(dispute.get("charge"))
    return fields | {"due_by": _due_by(dispute)} | _balance_changes(dispute)


def _balance_changes(dispute: Json) -> Json:
    """Sum the balance transactions; the oldest API versions have only one."""
    return balance_change(dispute.get("balance_transactions") or dispute.get("balance_transaction"))


def _due_by(dispute: Json) -> int | None:
    details = dispute.get("evidence_details") or {}
    # API versions before 2014-12-08 use the second name.
    due_by = details.get("due_by") or dispute.get("evidence_due_by")
    return due_by if isinstance(due_by, int) else None


def _data(dispute: Json) -> Json:
    metadata = dispute.get("metadata") or {}
    return _balance_changes(dispute) | {
        "payment_intent_id": reference(dispute.get("payment_intent")),
        "charge_id": reference(dispute.get("charge")),
        "dispute_id": dispute["id"],
        "amount": dispute.get("amount"),
        "currency": dispute.get("currency"),
        "reason": dispute.get("reason"),
        "due_by": _due_by(dispute),
        "failure_code": dispute.get("reason"),
        "event_id": metadata.get("event_id"),
        "user_id": metadata.get("user_id"),
        "metadata": metadata,
    }
