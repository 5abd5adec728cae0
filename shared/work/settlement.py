"""Settlement: the end of a piece of work and all it means, written in one atomic step.

An event or a refund job ends together with the payment's new state, its timeline and the
notifications that follow: there is no moment in which one is written and the other is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.canonical_json import compact
from shared.errors import Inconsistent
from shared.facts import Fact, advance, notification_body
from shared.keys import key
from shared.settings import Settings
from shared.store.scripts import ATTEMPTS_LIMIT, TIMELINE_LIMIT, Store
from shared.telemetry.tally import FACTS
from shared.work.breaker import BREAKER
from shared.work.items import EVENTS, GUARD_MS, NOTIFICATIONS, Claim
from shared.work.payments import Payments, entry

Json = dict[str, Any]
# Times the payment may change between our reading and our writing; each lost race is another
# worker's progress, and there are never this many workers on one payment.
MAX_RACES = 50


@dataclass(frozen=True)
class Settled:
    """What settling gave: notifications staged, and facts the event service was told before."""

    staged: int
    suppressed: int
    late: int


@dataclass(frozen=True)
class Established:
    """What a piece of work established about one payment, and what else was learned of it."""

    payment_id: str
    facts: list[Fact]
    context: dict[str, str] = field(default_factory=dict)


class Settlement:
    """Settle claimed work, an event or a refund job, together with the facts it established."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._payments = Payments(store, settings.payment_retention_seconds)

    def settle(self, claim: Claim, facts: Established, plan: Json) -> Settled | None:
        """Finish the item and all it means in one step; None if the claim was lost.

        Reads what is known, folds the facts in, and writes only if nobody wrote in between.
        """
        payment_id = facts.payment_id
        for _ in range(MAX_RACES):
            record = self._payments.read(payment_id)
            known = record.known.get("context", {})
            step = advance(record.known | {"context": facts.context | known}, facts.facts)
            told = [fact for fact in step.news if fact.type]
            part: Json = {
                "payment": {
                    "id": payment_id,
                    "revision": record.revision,
                    "known": compact(step.known),
                    "ttl_ms": self._settings.payment_retention_seconds * 1000,
                },
                "notifications": [self._staged(claim, f, step.known, payment_id) for f in told],
                "timeline": [compact(item) for item in _timeline(claim, plan["state"], step.late)],
                "timeline_limit": TIMELINE_LIMIT,
                "guard_ms": GUARD_MS,
            }
            outcome, *counts = settle(self._store, claim, plan | part, payment_id)
            if outcome == "settled":
                return self._settled(Settled(int(counts[0]), int(counts[1]), len(step.late)))
            if outcome == "lost":
                return None
        raise Inconsistent("The payment kept changing under us.", payment_id=payment_id)

    def _settled(self, settled: Settled) -> Settled:
        tally = self._store.tally
        tally.count(FACTS, settled.staged, outcome="told")
        tally.count(FACTS, settled.suppressed, outcome="suppressed")
        tally.count(FACTS, settled.late, outcome="late")
        return settled

    def _staged(self, claim: Claim, fact: Fact, known: Json, payment_id: str) -> Json:
        body = notification_body(fact, known, payment_id)
        fields = {
            "type": str(fact.type),
            "payment_id": payment_id,
            "body": compact(body),
            "created": str(fact.happened_at),
            "request_id": claim.fields.get("request_id", ""),
            "traceparent": claim.fields.get("traceparent", ""),
        }
        staged = entry(
            "notification_staged",
            notification_id=body["id"],
            type=fact.type,
            stripe_event_id=fact.stripe_event_id,
        )
        return {
            "id": body["id"],
            "key": NOTIFICATIONS.key(body["id"]),
            "fields": {name: value for name, value in fields.items() if value},
            "timeline": compact(staged),
        }


def finish_plan(claim: Claim, state: str, fields: dict[str, str], settings: Settings) -> Json:
    """Plan the end of a claimed item: its last state, what is kept of it and for how long."""
    return {
        "id": claim.id,
        "fence": claim.fence,
        "state": state,
        "fields": fields,
        "attempt": claim.attempt(state),
        "limit": ATTEMPTS_LIMIT,
        "tombstone_ms": settings.tombstone_retention_seconds * 1000,
        "body_ms": settings.payload_retention_seconds * 1000,
    }


def settle(store: Store, claim: Claim, plan: Json, payment_id: str | None) -> list[Any]:
    """Run the one script that ends an item; see `lua/settle.lua` for what it returns."""
    kind, payment = claim.kind, payment_id or "none"
    keys = [
        kind.key(claim.id),
        kind.due,
        kind.key(claim.id, "body"),
        kind.key(claim.id, "attempts"),
        key("payment", payment),
        key("payment", payment, "timeline"),
        key("payment", payment, "outbox"),
        NOTIFICATIONS.due,
        NOTIFICATIONS.queue,
        NOTIFICATIONS.index,
        BREAKER,
    ]
    result: list[Any] = store.run("settle", keys, [NOTIFICATIONS.message, compact(plan)])
    return result


def _timeline(claim: Claim, state: str, late: list[Fact]) -> list[Json]:
    entries = [
        entry(
            f"{claim.kind.item}_{state}",
            event_id=claim.id if claim.kind is EVENTS else None,
            refund_request_id=None if claim.kind is EVENTS else claim.id,
            type=claim.fields.get("type"),
            attempts=claim.attempts,
        )
    ]
    return entries + [
        entry("event_late", event_id=f.stripe_event_id, type=f.type, subject=f.subject)
        for f in late
    ]
