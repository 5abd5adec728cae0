"""Reconcile: compare Stripe's archive of events with what was recorded, and record what is missing.

Stripe lists events newest first, by whole seconds, eventually consistent, for 30 days. A run walks
through the time since the watermark, oldest first, in stretches whose events fit on one page. So
events are recorded in order, and the place moves only past stretches that were read completely.
The walk begins an overlap before the watermark, and its bounds are inclusive, so that no second
on a boundary is lost.
Only the types we handle are listed, because no other event is a gap. Stripe limits the types of one
list, so they are divided into lanes, each with a place of its own.
A second with more events than a page holds is read page by page. One run ends long before its
lease, and the next continues at the same page.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import worker.handlers  # noqa: F401 - fills the registry
from shared.canonical_json import compact
from shared.errors import CallerError, Misconfigured
from shared.store.scripts import redis_errors
from shared.stripe.event import Event, parse_event
from shared.stripe.gateway import PAGE_LIMIT
from shared.telemetry.logging import get_logger
from shared.work.items import item_id
from shared.work.kinds import EVENTS
from shared.work.reconciliation import OWN, Place, Reconciliation
from worker.endpoints import note_endpoints
from worker.registry import handled_types
from worker.runtime import Runtime

log = get_logger(__name__)
Json = dict[str, Any]
# Stripe accepts 20 values of `types[]` in one call. The lanes of payments come before those of what
# follows a payment: refunds, disputes and warnings.
TYPES_PER_CALL = 20
FOLLOWERS = ("charge.refund", "charge.dispute", "refund.", "radar.", "review.")
LANES: tuple[tuple[str, ...], ...] = tuple(
    tuple(types[at : at + TYPES_PER_CALL])
    for follows in (False, True)
    for types in [[t for t in handled_types() if t.startswith(FOLLOWERS) == follows]]
    for at in range(0, len(types), TYPES_PER_CALL)
)
# How late an event may appear in the list; Stripe publishes no figure, seconds are usual.
OVERLAP_SECONDS = 600
# Stripe keeps events for 30 days; the margin keeps a slow first run from asking for deleted ones.
ARCHIVE_SECONDS = 30 * 86_400 - 600
# An event younger than this may simply not have been delivered yet: it is no gap.
IN_FLIGHT_SECONDS = 60
# Time for one run: half of what the lease of upkeep leaves beside one call of the longest duration.
BUDGET_SECONDS = 10.0
# Length of the first stretch, so that a usual run with its overlap is one call.
FIRST_STRETCH_SECONDS = 3600
# Factor by which a stretch with too many events is shortened and one with few is lengthened.
STRETCH_FACTOR = 4


@dataclass(frozen=True)
class Reconciled:
    """How a run ended: `complete`, or stopped before that by its `deadline` or a `full` inbox."""

    outcome: str
    seen: int = 0
    recorded: int = 0
    gap: int = 0


class _Stop(Exception):
    """Ends the run for a reason that is no failure."""


class _Budget:
    """The time of one run; one call is always allowed, so that a slow Stripe cannot stop it."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._called = False

    def call(self) -> None:
        """Allow one call. Raises `_Stop` when the time is over."""
        if self._called and time.monotonic() >= self._deadline:
            raise _Stop("deadline")
        self._called = True


def run_once(
    runtime: Runtime, now: int | None = None, budget_seconds: float = BUDGET_SECONDS
) -> Reconciled:
    """Record events that Stripe lists and the inbox lacks, within the time of one run.

    Several runs make a round through all accounts. The result has counts only for the run that
    completes the round. Raises `Unavailable`, `Misconfigured`.
    """
    state = Reconciliation(runtime.store)
    round_ = state.open_round()
    if state.place(OWN) == Place():
        _discover(runtime, state)
    until = runtime.gateway.server_time()[0] if now is None else now
    budget = _Budget(budget_seconds)
    try:
        for account in state.to_visit(round_):
            _visit(_Walk(runtime, state, account, until, budget), round_)
    except _Stop as stop:
        log.info("reconcile_stopped", reason=str(stop))
        return Reconciled(str(stop))
    counts = state.close_round()
    log.info("reconciled", **counts)
    note_endpoints(runtime, state)
    return Reconciled("complete", **counts)


def _discover(runtime: Runtime, state: Reconciliation) -> None:
    """List the connected accounts at Stripe, because Redis lost those it knew."""
    try:
        for account in runtime.gateway.connected_accounts():
            state.add_account(account)
    except (CallerError, Misconfigured) as error:
        log.info("connected_accounts_unknown", error=str(error))


def _visit(walk: _Walk, round_: int) -> None:
    """Walk through one account, lane by lane. Raises `_Stop`."""
    for types in LANES:
        lane = replace(walk, types=types)
        if not walk.state.walked(lane.name, round_):
            _walk_through(lane, round_)
    walk.state.visited(walk.account, round_)


def _walk_through(lane: _Walk, round_: int) -> None:
    """Walk a lane. An account that is no longer connected must not hold up the others."""
    try:
        watermark = lane.run()
    except (CallerError, Misconfigured) as error:
        lane.state.forget_cursor(lane.name)
        if lane.account == OWN:
            raise
        log.warning("account_not_reconciled", account=lane.account, error=str(error))
        watermark = None
    lane.state.finish_lane(lane.name, round_, watermark)


@dataclass(frozen=True)
class _Walk:
    """The walk through one account's events of some types, from their place to the present."""

    runtime: Runtime
    state: Reconciliation
    account: str
    until: int
    budget: _Budget
    types: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The lane's name; the first lane of an account has the account's name."""
        number = LANES.index(self.types)
        return f"{self.account}.{number}" if number else self.account

    def run(self) -> int:
        """Walk to the end; return the new watermark. Raises `_Stop`."""
        place = self.state.place(self.name)
        here = replace(
            place,
            position=self._start(place),
            stretch=place.stretch or FIRST_STRETCH_SECONDS,
        )
        while (low := here.position or 0) <= self.until:
            high = low if here.cursor else min(low + (here.stretch or 1) - 1, self.until)
            page = self._page(low, high, here.cursor)
            if len(page) == PAGE_LIMIT and high > low:
                here = _shorter(here, high, page)
                self.state.move(self.name, here, {})
                continue
            counts, is_full = self._record(page)
            here = here if is_full else _further(here, high, page)
            self.state.move(self.name, here, counts)
            if is_full:
                raise _Stop("full")
        return self.until

    def _start(self, place: Place) -> int:
        if place.position is not None:
            return place.position
        if place.watermark is not None:
            return place.watermark - OVERLAP_SECONDS
        return self.until - ARCHIVE_SECONDS

    def _page(self, low: int, high: int, cursor: str) -> list[Json]:
        self.budget.call()
        filters: Json = {"created": {"gte": low, "lte": high}, "types": list(self.types)}
        if cursor:
            filters["starting_after"] = cursor
        account = None if self.account == OWN else self.account
        return next(self.runtime.gateway.events(account, **filters))

    def _record(self, page: list[Json]) -> tuple[dict[str, int], bool]:
        """Record the missing events of a page, oldest first; say whether the inbox was full."""
        livemode = self.runtime.settings.livemode
        events = [raw for raw in reversed(page) if raw.get("livemode") == livemode]
        counts = {"seen": len(events), "recorded": 0, "gap": 0}
        for raw in self._missing(events):
            if self.account != OWN:
                raw.setdefault("account", self.account)
            event = _readable(raw)
            if event is None:
                continue
            outcome = self.runtime.inbox.record(event, compact(raw), source="reconcile")
            if outcome == "full":
                return counts, True
            counts["recorded"] += 1
            counts["gap"] += raw["created"] < self.until - IN_FLIGHT_SECONDS
        return counts, False

    def _missing(self, page: list[Json]) -> list[Json]:
        """Return the events that the inbox lacks, by one round trip for the whole page."""
        with redis_errors():
            pipe = self.runtime.store.redis.pipeline(transaction=False)
            for raw in page:
                pipe.exists(self.runtime.store.keys.item(EVENTS, item_id(raw["id"])))
            presence = pipe.execute()
        return [raw for raw, is_known in zip(page, presence, strict=True) if not is_known]


def _readable(raw: Json) -> Event | None:
    """Read an event of the list; None for an unreadable one, which must not hold up the others."""
    try:
        return parse_event(raw)
    except CallerError as error:
        log.warning("event_not_readable", id=str(raw.get("id")), error=str(error))
        return None


def _shorter(here: Place, high: int, page: list[Json]) -> Place:
    """Shorten the stretch, knowing from a full page only how dense its newest end is.

    The end moves back by the time that the page covers, each time by a multiple of it, so that a
    burst at the end of a long silence takes a few calls. A fixed share of the stretch is always
    left, so that an even stream takes a few calls, too.
    """
    low = here.position or 0
    seconds = high - page[-1]["created"] + 1
    back = seconds * STRETCH_FACTOR**here.refused
    end = max(high - back, low + (high - low + 1) // STRETCH_FACTOR - 1, low)
    return replace(here, stretch=end - low + 1, refused=here.refused + 1, dense=seconds)


def _further(here: Place, high: int, page: list[Json]) -> Place:
    """Move the place past a recorded page, and choose the length of the next stretch."""
    if len(page) == PAGE_LIMIT:
        return replace(here, cursor=str(page[-1]["id"]))
    stretch = here.stretch or 1
    if here.refused:
        stretch = max(1, here.dense // 2)
    elif len(page) < PAGE_LIMIT // STRETCH_FACTOR:
        stretch *= STRETCH_FACTOR
    return replace(here, position=high + 1, cursor="", stretch=stretch, refused=0)
