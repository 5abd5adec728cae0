"""Items of work: the common part of events, refund jobs and notifications.

Each kind of work has one queue of doorbells and one `due` index. An item is in the index from the
script that records it to the script that makes it terminal, whether it waits, is leased or is to be
retried. So no item can be forgotten: the relay rings for every item that is due.

    queued ─> processing ─> finished
                └─> retrying ─> processing …    or    dead ── redrive ─> queued

A claim is a lease with a fence: when two workers claim the same item, only the later can mark it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.canonical_json import compact
from shared.errors import CallerError
from shared.store.scripts import ATTEMPTS_LIMIT, TIMELINE_LIMIT, Call, Store, redis_errors
from shared.stripe.forms import ID
from shared.work.breaker import OPEN_MS, PROBE_MS
from shared.work.kinds import LEASE_MARGIN_SECONDS, Kind
from shared.work.results import Dead, Retry, Snooze

# Milliseconds after which the relay rings again for a lost doorbell. Longer means slower recovery;
# shorter means second rings for items that only wait in a long queue, which cost a claim each.
GUARD_MS = 5_000
# Milliseconds, for `Work` without settings: the longest lease of the default settings.
LEASE_MS = 65_000
# Fields of a new item.
UNTRIED = {"attempts": 0, "crashes": 0, "fence": 0, "deliveries": 1}


@dataclass(frozen=True)
class Claim:
    """The right to work on one item until its lease ends."""

    kind: Kind
    id: str
    fields: dict[str, str]
    body: str | None
    # The number of this claim; a later one makes it worthless.
    fence: str
    # The attempts, this one included.
    attempts: int
    # The attempts that ended without a result: the worker died or hung.
    crashes: int
    # When it was claimed, by Redis's clock.
    claimed_at_ms: int
    # The keys of the item and of its kind, as the scripts call them.
    names: Mapping[str, str]
    # What tells its batch of its end, for a refund job that is a member of one; else empty.
    ended: str
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed_seconds(self) -> float:
        """Measure the time since the claim, by a monotonic clock."""
        return time.monotonic() - self.started

    @property
    def now(self) -> datetime:
        """Return the current time by Redis's clock, to send to others."""
        return datetime.fromtimestamp(self.claimed_at_ms / 1000 + self.elapsed_seconds, UTC)

    @property
    def age_seconds(self) -> float:
        """Return its age at the claim, since it was recorded or redriven."""
        since = self.fields.get("redriven_at", self.fields["recorded_at"])
        return (self.claimed_at_ms - int(since)) / 1000

    def attempt(self, outcome: str, details: Mapping[str, Any]) -> str:
        """Render one attempt to store with the item: JSON text that begins with its time."""
        fields = {name: value for name, value in details.items() if value}
        fields |= {
            "attempt": self.attempts,
            "outcome": outcome,
            "duration_ms": round(self.elapsed_seconds * 1000),
        }
        return f'{{"at_ms":{self.claimed_at_ms},{compact(fields)[1:]}'


def item_id(text: str) -> str:
    """Return the text if it can be an item's id. Raises `CallerError` for any other."""
    if not ID.fullmatch(text):
        raise CallerError("This is no id of this service or of Stripe.", code="invalid_id")
    return text


@dataclass(frozen=True)
class Recording:
    """The values of a new item that `Work.record` writes, and its entry in the timeline."""

    id: str
    state: str
    fields: dict[str, str]
    max_waiting: int
    body: str | None = None
    payment_id: str | None = None
    entry: dict[str, Any] | None = None
    timeline_ms: int = 0


class Work:
    """Record, claim and mark the items of one kind."""

    def __init__(self, store: Store, kind: Kind, lease_ms: int = LEASE_MS) -> None:
        self.store = store
        self.kind = kind
        self._lease_ms = lease_ms
        # The total deadline of an attempt, inside its lease.
        self.longest_seconds = lease_ms / 1000 - LEASE_MARGIN_SECONDS
        keys = store.keys
        # The keys that the items of this kind share.
        self._shared = keys.of_kind(kind) | {
            "breaker": keys.breaker(),
            "failing": keys.failing(),
            "probe": keys.probe(),
            "ended_members": keys.ended_members(),
            "accounts": keys.accounts(),
        }

    def record(self, new: Recording) -> str:
        """Record and schedule an item in one atomic step; return `recorded`, `known` or `full`.

        A known id changes nothing. Raises `Unavailable` when it could not be recorded, or when it
        is unknown whether it was.
        """
        outcome: str = self.store.run_durably(self.recording(new))[0]
        return outcome

    def recording(self, new: Recording) -> Call:
        """Prepare the script that records an item. Raises `CallerError` for an id that is none."""
        names = self._names(new.id) | self.store.keys.of_payment(new.payment_id or "none")
        args: list[Any] = [
            self.kind.message,
            new.id,
            new.max_waiting,
            GUARD_MS,
            new.body or "",
            new.fields.get("account", ""),
            compact(new.entry) if new.entry and new.payment_id else "",
            TIMELINE_LIMIT,
            new.timeline_ms,
        ]
        fields = {"id": new.id, "state": new.state, **UNTRIED, **new.fields}
        for field_and_value in fields.items():
            args += field_and_value
        return Call("record", names, args)

    def claim(self, item: str, *, pause_ms: int = 0) -> Claim | None:
        """Claim an item, or return None when there is nothing to do, which is no failure.

        `pause_ms` is for items that need the event service: while the breaker is open, an item that
        is not the probe is postponed by this and keeps its attempts. Raises `Unavailable`, and
        `CallerError` for an invalid id.
        """
        names = self._names(item)
        token = secrets.token_hex(8)
        args = [item, self._lease_ms, token, pause_ms, PROBE_MS, OPEN_MS]
        answer = self.store.run(Call("claim", names, args))
        if not answer:
            return None
        flat, body = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Claim(
            kind=self.kind,
            id=item,
            names=names,
            fields=fields,
            body=body,
            fence=fields["fence"],
            ended=f"{item}:{fields['fence']}" if "batch_id" in fields else "",
            attempts=int(fields["attempts"]),
            crashes=int(fields.get("crashes", 0)),
            claimed_at_ms=int(fields["claimed_at"]),
        )

    def postpone(self, claim: Claim, result: Retry | Snooze) -> bool:
        """Return a claimed item for later; False when the claim was lost.

        A retry counts the attempt, a snooze does not. Raises `Unavailable`.
        """
        delay = {"error": result.reason, "delay_seconds": round(result.delay_seconds, 3)}
        plan = self._plan(claim, result.outcome, result.reason, result.details) | {
            "delay_ms": max(0, round(result.delay_seconds * 1000)),
            "give_back": isinstance(result, Snooze),
        }
        plan["attempt"] = (
            claim.attempt(result.outcome, delay | dict(result.details)) if result.reason else ""
        )
        return bool(self.store.run(Call("postpone", claim.names, [compact(plan)])))

    def bury(self, claim: Claim, result: Dead) -> bool:
        """Make a claimed item a dead letter, which keeps its payload and evidence.

        False when the claim was lost. Raises `Unavailable`.
        """
        plan = self._plan(claim, result.outcome, result.reason, result.details)
        plan["ended"] = claim.ended
        return bool(self.store.run(Call("bury", claim.names, [compact(plan)])))

    def _plan(
        self, claim: Claim, outcome: str, error: str, details: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "id": claim.id,
            "fence": claim.fence,
            "error": error,
            "attempt": claim.attempt(outcome, {"error": error} | dict(details)),
            "limit": ATTEMPTS_LIMIT,
        }

    def _names(self, item: str) -> dict[str, str]:
        """Name the keys of an item. Raises `CallerError` for an id that is none."""
        return self._shared | self.store.keys.of_item(self.kind, item_id(item))

    def wake(self, item: str) -> None:
        """Have an item tried now that was to be retried later. Raises `Unavailable`."""
        args = [item, self.kind.message, GUARD_MS]
        self.store.run(Call("wake", self._names(item), args))

    def hasten(self, item: str) -> str:
        """Make a duty of upkeep due now; `due`, or `running` when it runs (it runs once more then).

        Raises `Unavailable`.
        """
        args = [item, self.kind.message, GUARD_MS, self._lease_ms]
        return str(self.store.run(Call("hasten", self._names(item), args)))

    def attempts(self, item: str) -> list[dict[str, Any]]:
        """List the attempts at an item and its redrives, oldest first. Raises `Unavailable`."""
        return self.store.entries(self.store.keys.attempts(self.kind, item_id(item)))

    def waiting(self) -> int:
        """Count the open items. Raises `Unavailable`."""
        with redis_errors():
            return int(self.store.redis.zcard(self.store.keys.due(self.kind)))
