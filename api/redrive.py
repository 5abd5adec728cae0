"""Redrive: process finished work again by an operator's decision, and record who, when and why.

A redrive is safe to repeat: an event's notifications keep their ids, a refund job calls Stripe with
the same idempotency key, and a notification goes to the end of its payment's outbox, so that it
does not overtake those under way.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from shared.canonical_json import compact
from shared.errors import CallerError
from shared.keys import State
from shared.settings import Settings
from shared.store.scripts import ATTEMPTS_LIMIT, AUDIT_LIMIT, Call, Store
from shared.stripe.event import parse_event
from shared.stripe.gateway import StripeGateway
from shared.work.dead_letters import DeadLetters, ItemFilter, kind_of
from shared.work.inbox import Inbox
from shared.work.items import GUARD_MS
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS
from shared.work.payments import with_time
from shared.work.refund_jobs import RefundJobs

Json = dict[str, Any]
# Most items of one request: each is an atomic step with its own write to disk, about half a second
# in all, and a mistake stays small.
MOST_AT_ONCE = 1_000
# States from which an item may be redriven. A finished refund job is never redriven: its money
# moved, or its caller got a final refusal.
REDRIVABLE = {
    EVENTS.name: (State.DEAD, State.PROCESSED, State.IGNORED),
    NOTIFICATIONS.name: (State.DEAD, State.DELIVERED),
    REFUNDS.name: (State.DEAD,),
}
FIRST_STATE = {
    EVENTS.name: State.RECEIVED,
    NOTIFICATIONS.name: State.QUEUED,
    REFUNDS.name: State.QUEUED,
}


@dataclass(frozen=True)
class AuditNote:
    """The author and reason of an operator's decision, for the audit log.

    `key` is a fingerprint of the key and `operator` its name in OPERATOR_KEYS; `name` is the name
    that the person gave, which is not checked.
    """

    key: str
    operator: str = ""
    name: str = ""
    reason: str = ""

    def entry(self, action: str, **details: Any) -> Json:
        """Build the audit entry of one action; the script that writes it adds the time."""
        author = {
            "operator": self.operator,
            "by": self.name,
            "key": self.key,
            "reason": self.reason,
        }
        present = {name: value for name, value in (author | details).items() if value}
        return {"kind": action} | present


@dataclass(frozen=True)
class Redriven:
    """The result of a redrive of many; `skipped` has the state of each item left alone."""

    matched: int
    ids: list[str]
    skipped: dict[str, str] = field(default_factory=dict)
    complete: bool = True


class Redrive:
    """Redrive one item or many, and carry out decisions about refund jobs."""

    def __init__(self, store: Store, settings: Settings, gateway: StripeGateway) -> None:
        self._store = store
        self._gateway = gateway
        self._letters = DeadLetters(store)
        self._inbox = Inbox(store, settings)
        self._refund_jobs = RefundJobs(store, settings)
        self._livemode = settings.livemode

    def many(
        self, criteria: ItemFilter, audit: AuditNote, limit: int, *, dry_run: bool = False
    ) -> Redriven:
        """Redrive the wanted dead letters, the oldest first, at most `limit` of them.

        A dry run only lists them. When it is stopped half-way, a repeat redrives the rest. Raises
        `Unavailable`.
        """
        letters = self._letters.find(criteria, min(limit, MOST_AT_ONCE), newest_first=False)
        ids = [str(item["id"]) for item in letters.items]
        if dry_run:
            return Redriven(letters.matched, ids, complete=letters.complete)
        return self._each(ids, audit, letters.matched, complete=letters.complete)

    def these(self, ids: list[str], audit: AuditNote, *, dry_run: bool = False) -> Redriven:
        """Redrive dead letters by their ids, in the order given."""
        if dry_run:
            states = {item_id: self._state(item_id) for item_id in ids}
            dead = [item_id for item_id in ids if states[item_id] == "dead"]
            skipped = {item_id: state for item_id, state in states.items() if state != "dead"}
            return Redriven(len(dead), dead, skipped)
        return self._each(ids, audit, len(ids), complete=True)

    def _each(self, ids: list[str], audit: AuditNote, matched: int, *, complete: bool) -> Redriven:
        outcomes = {item_id: self._again(item_id, audit, ("dead",), {}) for item_id in ids}
        redriven = [item_id for item_id, outcome in outcomes.items() if outcome == "redriven"]
        skipped = {item: outcome for item, outcome in outcomes.items() if outcome != "redriven"}
        return Redriven(matched, redriven, skipped, complete)

    def one(self, item_id: str, audit: AuditNote, account: str | None = None) -> str:
        """Redrive one dead or finished item; fetch and record an event that is unknown here.

        Returns `redriven` or `recorded`. Raises `CallerError` 409 when the item is in progress, 404
        when neither this service nor Stripe knows it.
        """
        outcome = self._again(item_id, audit, REDRIVABLE[kind_of(item_id).name], {})
        if outcome == "unknown":
            return self._from_stripe(item_id, audit, account)
        if outcome != "redriven":
            raise CallerError(
                f"This item is {outcome}; only finished or dead work can be redriven.",
                status=409,
                code="not_redrivable",
                state=outcome,
            )
        return outcome

    def resolve(self, job: str, audit: AuditNote, refund_id: str | None) -> None:
        """Let a worker finish a dead refund job with the outcome that an operator found at Stripe.

        `refund_id` names the refund of the job, None means that Stripe made none. Raises
        `CallerError` when the refund belongs to another payment or job, or the job is not dead.
        """
        fields = self._refund_jobs.read(job)
        if refund_id is not None:
            self._check(job, fields, refund_id)
        decision = compact(
            {"refund_id": refund_id, "by": audit.operator or audit.name or audit.key}
        )
        outcome = self._again(job, audit, REDRIVABLE[REFUNDS.name], {"decision": decision})
        if outcome != "redriven":
            raise CallerError(
                f"This refund job is {outcome}; only a dead one can be resolved.",
                status=409,
                code="not_dead",
                state=outcome,
            )

    def note(self, audit: AuditNote, action: str, **details: Any) -> None:
        """Record a decision in the audit log that is in no item's own history."""
        entry = compact(audit.entry(action, **details))
        self._store.run(Call("decide", {"audit": self._store.keys.audit()}, [entry, AUDIT_LIMIT]))

    def audit(self, limit: int) -> list[Json]:
        """List the decisions of operators, newest first. Raises `Unavailable`."""
        newest_first = reversed(self._store.entries(self._store.keys.audit()))
        return [with_time(entry) for entry in newest_first][:limit]

    def _state(self, item_id: str) -> str:
        name = self._store.keys.item(kind_of(item_id), item_id)
        return self._store.fields(name, "state")[0] or "unknown"

    def _again(
        self, item_id: str, audit: AuditNote, states: tuple[str, ...], fields: dict[str, str]
    ) -> str:
        kind, keys = kind_of(item_id), self._store.keys
        payment_id = self._store.fields(keys.item(kind, item_id), "payment_id")[0] or "none"
        action = "resolved" if fields else "redriven"
        plan = {
            "id": item_id,
            "token": secrets.token_hex(8),
            "states": states,
            "state": FIRST_STATE[kind.name],
            "fields": fields,
            "entry": compact(audit.entry(action, outcome=action, **fields)),
            "limit": ATTEMPTS_LIMIT,
            "audit": compact(audit.entry(action, id=item_id, **fields)),
            "audit_limit": AUDIT_LIMIT,
            "guard_ms": GUARD_MS,
            "ordered": kind is NOTIFICATIONS,
        }
        names = {
            **keys.of_kind(kind),
            **keys.of_item(kind, item_id),
            "outbox": keys.outbox(payment_id),
            "audit": keys.audit(),
        }
        return str(self._store.run(Call("redrive", names, [kind.message, compact(plan)])))

    def _from_stripe(self, stripe_event_id: str, audit: AuditNote, account: str | None) -> str:
        if kind_of(stripe_event_id) is not EVENTS:
            raise CallerError("No item has this id.", status=404, code="item_not_found")
        raw = self._gateway.event(stripe_event_id, account)
        event = parse_event(raw)
        if event.livemode != self._livemode:
            raise CallerError(
                "This event is of the other mode (live or test) than the service's Stripe key.",
                code="other_mode",
            )
        self.note(audit, "fetched", id=stripe_event_id)
        return self._inbox.record(event, compact(raw), source="redrive")

    def _check(self, job: str, fields: dict[str, str], refund_id: str) -> None:
        refund = self._gateway.refund(refund_id, fields.get("account"))
        if refund.get("payment_intent") != fields["payment_id"]:
            raise CallerError(
                "This refund belongs to another payment.", code="refund_of_other_payment"
            )
        if self._refund_jobs.job_of(refund_id) not in (None, job):
            raise CallerError(
                "This refund was made by another refund job.", code="refund_of_other_job"
            )
