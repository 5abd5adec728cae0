"""Settlement: write the end of an item and all its effects in one atomic step.

An event or a refund job ends together with the payment's new state, its timeline and its
notifications: either all of these are written or none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from shared.canonical_json import compact
from shared.errors import Inconsistent
from shared.facts import Advance, Fact, advance
from shared.keys import State
from shared.payment_summary import notification_body
from shared.settings import Settings
from shared.store.scripts import ATTEMPTS_LIMIT, TIMELINE_LIMIT, Call, Store
from shared.telemetry.tally import FACTS
from shared.work.breaker import OPEN_MS
from shared.work.items import GUARD_MS, Claim
from shared.work.kinds import EVENTS, NOTIFICATIONS
from shared.work.outcomes import REMEMBERED_SECONDS
from shared.work.payment_index import index_changes
from shared.work.payments import PaymentRecord, Payments, entry
from shared.work.results import Done, Established

Json = dict[str, Any]
# Tries to settle, each of which fails when the payment changes between read and write. Each such
# change is another worker's progress, and there are never this many workers on one payment.
MAX_RACES = 50


@dataclass(frozen=True)
class Staged:
    """A notification to stage: its id, and the fields that the script writes."""

    id: str
    plan: Json


class Settlement:
    """Settle claimed work, an event or a refund job, together with the facts it established."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._payments = Payments(store, settings.payment_retention_seconds)
        keys = store.keys
        # Keys of every settlement.
        self._fixed = {
            "payment_index": keys.payment_index(),
            "notification_due": keys.due(NOTIFICATIONS),
            "notification_queue": keys.queue(NOTIFICATIONS),
            "notification_index": keys.index(NOTIFICATIONS),
        }

    def finish(self, claim: Claim, done: Done) -> bool:
        """Finish the item with all its effects in one step; False when the claim was lost.

        Folds the facts into the state that was read, and writes only if it has not changed since;
        otherwise reads again. Raises `Unavailable`, and `Inconsistent` when it changes each time.
        """
        record = done.established.record if done.established else None
        for _ in range(MAX_RACES):
            step, call = self._call(claim, done, record)
            outcome, *counts = self._store.run(call)
            if outcome != "moved":
                if outcome == "settled" and step:
                    self._count(counts, len(step.late))
                return bool(outcome == "settled")
            record = None
        raise Inconsistent("The payment changed too often while this was settled.")

    def _call(
        self, claim: Claim, done: Done, record: PaymentRecord | None
    ) -> tuple[Advance | None, Call]:
        plan, established = self._end(claim, done), done.established
        if established is None:
            of_payment = Established(claim.fields.get("payment_id", ""), [])
            plan["timeline"] = _timeline(claim, done, []) if of_payment.payment_id else []
            return None, self._settle(claim, plan, of_payment, [])
        payment_id = established.payment_id
        record = record or self._payments.read(payment_id)
        context = record.known.get("context", {})
        step = advance(record.known | {"context": established.context | context}, established.facts)
        notifications = [self._stage(claim, f, step.known, payment_id) for f in step.news if f.type]
        plan |= {
            "payment": self._payment(claim, record, step.known),
            "names_charge": established.charge_id is not None,
            "names_request": bool(_request(claim)),
            "names_key": bool(established.stripe_key),
            "made_ms": REMEMBERED_SECONDS * 1000,
            "timeline": _timeline(claim, done, step.late),
            "notifications": [one.plan for one in notifications],
        }
        return step, self._settle(claim, plan, established, [one.id for one in notifications])

    def _payment(self, claim: Claim, record: PaymentRecord, known: Json) -> Json:
        """Plan the writes for a payment: its state, and its members of the index.

        Members that exist already are added again, which changes nothing, so that a lost index is
        rebuilt by the next settlement.
        """
        heard_at_ms = record.heard_at_ms or claim.claimed_at_ms
        after = replace(record, known=known, heard_at_ms=heard_at_ms)
        return {
            "id": record.id,
            "revision": record.revision,
            "known": compact(known),
            "heard_at": str(heard_at_ms),
            "index": index_changes(record, after, self._settings.indexed_metadata),
        }

    def _end(self, claim: Claim, done: Done) -> Json:
        """Plan the end of a claimed item: its last state, its stored fields and their expiry."""
        return {
            "id": claim.id,
            "fence": claim.fence,
            "state": done.state,
            "fields": dict(done.fields),
            "attempt": claim.attempt(done.outcome or done.state, done.details),
            "limit": ATTEMPTS_LIMIT,
            "tombstone_ms": self._settings.tombstone_retention_seconds * 1000,
            "body_ms": self._settings.payload_retention_seconds * 1000,
            "payment_ms": self._settings.payment_retention_seconds * 1000,
            "timeline_limit": TIMELINE_LIMIT,
            "notifications": [],
            "guard_ms": GUARD_MS,
            "open_ms": OPEN_MS,
            "delay_ms": round(done.delay_seconds * 1000),
            "ended": done.ended or claim.ended,
        }

    def _settle(
        self, claim: Claim, plan: Json, established: Established, notification_ids: list[str]
    ) -> Call:
        keys = self._store.keys
        names: dict[str, str | list[str]] = {
            **self._fixed,
            **claim.names,
            **keys.of_settlement(
                established.payment_id,
                established.charge_id or "",
                _request(claim),
                established.stripe_key,
            ),
            "notification_item": [keys.item(NOTIFICATIONS, one) for one in notification_ids],
        }
        return Call("settle", names, [NOTIFICATIONS.message, compact(plan)])

    def _count(self, counts: list[int], late: int) -> None:
        tally = self._store.tally
        for outcome, count in zip(("told", "suppressed", "late"), (*counts, late), strict=True):
            if count:
                tally.count(FACTS, int(count), outcome=outcome)

    def _stage(self, claim: Claim, fact: Fact, known: Json, payment_id: str) -> Staged:
        body = notification_body(fact, known, payment_id)
        fields = {
            "type": str(fact.type),
            "payment_id": payment_id,
            "body": compact(body),
            "created": str(fact.happened_at),
            "request_id": claim.fields.get("request_id", ""),
            "traceparent": claim.fields.get("traceparent", ""),
        }
        timeline_entry = entry(
            "notification_staged",
            notification_id=body["id"],
            type=fact.type,
            stripe_event_id=fact.stripe_event_id,
        )
        plan = {
            "id": body["id"],
            "fields": {name: value for name, value in fields.items() if value},
            "timeline": compact(timeline_entry),
        }
        return Staged(body["id"], plan)


def _request(claim: Claim) -> str:
    """Return the request that caused an item: Stripe's, or for a refund job the caller's."""
    return claim.fields.get("stripe_request_id" if claim.kind is EVENTS else "request_id", "")


def _timeline(claim: Claim, done: Done, late: list[Fact]) -> list[str]:
    facts = done.established.facts if done.established else []
    balance_change: Json = next((f.data for f in facts if f.data.get("net") is not None), {})
    ended = entry(
        f"{claim.kind.item}_{done.outcome if done.delay_seconds else done.state}",
        stripe_event_id=claim.id if claim.kind is EVENTS else None,
        refund_request_id=None if claim.kind is EVENTS else claim.id,
        type=claim.fields.get("type"),
        attempts=claim.attempts,
        reason=done.fields.get("reason") if done.state is State.IGNORED else None,
        **{name: balance_change.get(name) for name in ("fee", "net", "settlement_currency")},
    )
    after = [
        entry("event_late", stripe_event_id=f.stripe_event_id, type=f.type, subject=f.subject)
        for f in late
    ]
    return [compact(item) for item in (ended, *after)]
