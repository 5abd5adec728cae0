"""Work: what an event, a refund job and a notification have in common.

Each kind of work has one queue of doorbells and one `due` index. An item stands in the index from
the script that records it to the script that makes it terminal, whether it waits, is leased or is
to be retried, so nothing can be forgotten: the relay rings for whatever is due.

    queued ─> processing ─> finished
                └─> retrying ─> processing …    or    dead ── redrive ─> queued

A claim is a lease with a fence: of two workers that hold the same item, only the later can mark it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.canonical_json import compact
from shared.errors import CallerError
from shared.keys import key
from shared.settings import CONNECT_TIMEOUT_SECONDS, Settings
from shared.store.scripts import ATTEMPTS_LIMIT, TIMELINE_LIMIT, Store, redis_errors
from shared.work.breaker import BREAKER, PROBE, PROBE_MS
from shared.work.doorbell import template

# A doorbell that was lost is rung again after this long. Longer: slower after a crash. Shorter:
# an item that merely waits in a long queue is rung for twice, which costs a claim and no more.
GUARD_MS = 5_000
# Above this many messages in a queue the relay holds back: whoever waits behind so many does not
# lack a bell, and ringing again for it would only make the queue longer. Half a second's work of
# one worker, so that none is idle until the next sweep.
QUEUE_HIGH_WATER = 250
# Items one sweep rings for, so that a sweep holds Redis for a few milliseconds only.
RELAY_LIMIT = 500
# Workers an item may kill before it is taken for the cause.
MAX_CRASHES = 5
# What an attempt needs beside its calls: Redis, and a machine that is busy.
LEASE_MARGIN_SECONDS = 5.0
# For who builds `Work` without settings: as long as the longest lease of the default settings.
LEASE_MS = 65_000

ITEM_ID = re.compile(r"[A-Za-z0-9_]{3,128}")


@dataclass(frozen=True)
class Kind:
    """One kind of work: its queue, its Celery task and the calls its longest attempt makes."""

    name: str
    item: str
    task: str
    stripe_calls: int = 0
    deliveries: int = 0
    upkeep_seconds: float = 0.0

    @property
    def due(self) -> str:
        """Name the index of when each open item must be looked at again (ms)."""
        return key("due", self.name)

    @property
    def dead(self) -> str:
        """Name the index of dead letters by the time they died (ms)."""
        return key("dead", self.name)

    @property
    def index(self) -> str:
        """Name the index of all items by the time they were recorded (ms)."""
        return key("index", self.name)

    @property
    def queue(self) -> str:
        """Name the Celery queue, which is a Redis list of the same name."""
        return self.name

    def lease_ms(self, settings: Settings) -> int:
        """Give how long a claim holds: longer than the longest attempt the settings allow.

        Shorter, and a second worker would begin while the first still waits for an answer; much
        longer, and whatever a killed worker held would wait for nothing.
        """
        stripe = self.stripe_calls * (CONNECT_TIMEOUT_SECONDS + settings.stripe_timeout_seconds)
        delivery = CONNECT_TIMEOUT_SECONDS + settings.event_service_timeout_seconds
        longest = stripe + self.deliveries * delivery + self.upkeep_seconds
        return round((longest + LEASE_MARGIN_SECONDS) * 1000)

    @property
    def message(self) -> str:
        """Give the doorbell's template."""
        return template(self.task, self.queue)

    def key(self, item_id: str, *parts: str) -> str:
        """Name a key of one item. Raises `CallerError` for an id that cannot be one."""
        if not ITEM_ID.fullmatch(item_id):
            raise CallerError("This is not an id of ours or Stripe's.", code="invalid_id")
        return key(self.item, item_id, *parts)


# An event may need its object, its refunds and its payment from Stripe; upkeep pages through lists.
EVENTS = Kind("events", "event", "billing.process_event", stripe_calls=3)
REFUNDS = Kind("refunds", "refund", "billing.run_refund", stripe_calls=1)
NOTIFICATIONS = Kind("notifications", "notification", "billing.deliver", deliveries=1)
UPKEEP = Kind("upkeep", "upkeep", "billing.upkeep", stripe_calls=1, upkeep_seconds=20.0)
KINDS = {kind.name: kind for kind in (EVENTS, REFUNDS, NOTIFICATIONS, UPKEEP)}


@dataclass(frozen=True)
class Claim:
    """The right to work on one item until its lease ends."""

    kind: Kind
    id: str
    fence: str
    attempts: int
    crashes: int
    fields: dict[str, str]
    body: str | None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def attempt(self, outcome: str, **details: Any) -> str:
        """Render one attempt, as it is kept beside the item: JSON text."""
        now = datetime.now(UTC)
        entry = {
            "at": self.started_at.isoformat(),
            "attempt": self.attempts,
            "outcome": outcome,
            "duration_ms": round((now - self.started_at).total_seconds() * 1000),
        }
        return compact(entry | {name: value for name, value in details.items() if value})


@dataclass(frozen=True)
class Recording:
    """What `Work.record` is to write of a new item."""

    id: str
    state: str
    fields: dict[str, str]
    max_waiting: int
    body: str | None = None
    payment_id: str | None = None
    timeline: tuple[dict[str, Any], ...] = ()
    timeline_ms: int = 0


@dataclass(frozen=True)
class Recorded:
    """What became of a recording: `recorded`, `known` (with its state) or `full`."""

    outcome: str
    state: str | None = None


def recorded(result: Sequence[str]) -> Recorded:
    """Read what the script `record` gave."""
    outcome, *rest = result
    return Recorded(outcome, rest[0] if outcome == "known" else None)


class Work:
    """Record, claim and mark the items of one kind."""

    def __init__(self, store: Store, kind: Kind, lease_ms: int = LEASE_MS) -> None:
        self.store = store
        self.kind = kind
        self._lease_ms = lease_ms

    def record(self, new: Recording) -> Recorded:
        """Record and schedule an item in one atomic step; known ids change nothing.

        Raises `Unavailable` when it could not be recorded, or when it is unknown whether it was.
        """
        keys, args = self.recording(new)
        return recorded(self.store.run_durably("record", keys, args))

    def recording(self, new: Recording) -> tuple[list[str], list[str]]:
        """Give keys and arguments of the script `record` for a new item."""
        kind = self.kind
        timeline = key("payment", new.payment_id or "none", "timeline")
        plan = {
            "id": new.id,
            "state": new.state,
            "fields": new.fields,
            "guard_ms": GUARD_MS,
            "max_waiting": new.max_waiting,
            "timeline": [compact(entry) for entry in new.timeline] if new.payment_id else [],
            "timeline_limit": TIMELINE_LIMIT,
            "timeline_ttl_ms": new.timeline_ms,
        }
        keys = [kind.key(new.id), kind.due, kind.queue, kind.key(new.id, "body"), kind.index]
        args = [kind.message, compact(plan), *([] if new.body is None else [new.body])]
        return [*keys, timeline], args

    def claim(self, item_id: str, *, pause_ms: int = 0) -> Claim | None:
        """Claim an item, or return None when there is nothing to do: that is no failure.

        `pause_ms` is for what needs the event service: while the breaker is open, an item that is
        not the probe is put off for so long and keeps its attempts.
        """
        kind = self.kind
        outcome, *rest = self.store.run(
            "claim",
            [kind.key(item_id), kind.due, kind.key(item_id, "body"), BREAKER, PROBE],
            [item_id, self._lease_ms, secrets.token_hex(8), pause_ms, PROBE_MS],
        )
        if outcome != "claimed":
            return None
        fields = dict(zip(rest[0][::2], rest[0][1::2], strict=True))
        return Claim(
            kind=kind,
            id=item_id,
            fence=fields["fence"],
            attempts=int(fields["attempts"]),
            crashes=int(fields.get("crashes", 0)),
            fields=fields,
            body=rest[1],
        )

    def postpone(
        self, claim: Claim, delay_seconds: float, *, error: str = "", give_back: bool = False
    ) -> int:
        """Hand a claimed item back for later; return when it is due again (ms), 0 if it was lost.

        A retry keeps the attempt, a snooze (`give_back`) returns it.
        """
        outcome = "snoozed" if give_back else "retry"
        attempt = claim.attempt(outcome, error=error, delay_seconds=round(delay_seconds, 3))
        plan = {
            "id": claim.id,
            "fence": claim.fence,
            "delay_ms": max(0, round(delay_seconds * 1000)),
            "give_back": give_back,
            "error": error,
            "attempt": attempt if error else "",
            "limit": ATTEMPTS_LIMIT,
            "ttl_ms": 0,
        }
        keys = [self.kind.key(claim.id), self.kind.due, self.kind.key(claim.id, "attempts")]
        return int(self.store.run("postpone", keys, [compact(plan)]))

    def wake(self, item_id: str) -> bool:
        """Have an item tried now that was to be retried later; False for one in another state."""
        kind = self.kind
        keys = [kind.key(item_id), kind.due, kind.queue]
        return bool(self.store.run("wake", keys, [item_id, kind.message, GUARD_MS]))

    def bury(self, claim: Claim, error: str) -> bool:
        """Make a claimed item a dead letter, with its payload and evidence kept."""
        plan = {
            "id": claim.id,
            "fence": claim.fence,
            "error": error,
            "attempt": claim.attempt("dead", error=error),
            "limit": ATTEMPTS_LIMIT,
        }
        keys = [
            self.kind.key(claim.id),
            self.kind.due,
            self.kind.key(claim.id, "attempts"),
            self.kind.dead,
        ]
        return bool(self.store.run("bury", keys, [compact(plan)]))

    def attempts(self, item_id: str) -> list[dict[str, Any]]:
        """List the attempts at an item and its redrives, oldest first."""
        return self.store.entries(self.kind.key(item_id, "attempts"))

    def waiting(self) -> int:
        """Count the open items."""
        with redis_errors():
            return int(self.store.redis.zcard(self.kind.due))


def relay(store: Store, kind: Kind, limit: int = RELAY_LIMIT) -> tuple[int, int]:
    """Ring for due items of a kind; return how many, and how overdue the oldest was (ms).

    Any number of relays at a time is harmless: each sweep pushes what it rang for into the future.
    """
    rung, overdue_ms = store.run(
        "relay", [kind.due, kind.queue], [limit, GUARD_MS, QUEUE_HIGH_WATER, kind.message]
    )
    return int(rung), int(overdue_ms)
