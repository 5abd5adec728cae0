"""Reconcile: compare Stripe's archive of events with what was recorded, and record what is missing.

Stripe lists events newest first, by whole seconds, eventually consistent, for 30 days. A stretch of
time is split until its events fit on one page and walked from its oldest end, so that they are
recorded in order and the watermark only ever covers what was seen whole. The stretch begins an
overlap before the watermark, and its bounds are inclusive, so no second is lost on a boundary.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.logging import get_logger
from shared.store import compact, key, redis_errors
from shared.stripe_event import parse_event
from worker.runtime import Runtime

log = get_logger(__name__)
Json = dict[str, Any]
WATERMARK = key("reconcile")
# How late an event may appear in the list; Stripe gives no figure, seconds are usual.
OVERLAP_SECONDS = 600
# Stripe keeps events for 30 days; a margin, so that a slow first run asks for none that are gone.
ARCHIVE_SECONDS = 30 * 86_400 - 600
# An event younger than this may simply not have been delivered yet: it is no gap.
IN_FLIGHT_SECONDS = 60


@dataclass(frozen=True)
class Reconciled:
    """What one run did: events seen at Stripe, recorded here, and of those the gap."""

    seen: int
    recorded: int
    gap: int
    complete: bool


def run_once(runtime: Runtime, now: int | None = None) -> Reconciled:
    """Record what Stripe lists and we do not know; move the watermark over what was seen whole.

    Stops early, to go on next time, when the inbox is full. Raises `Unavailable`, `Misconfigured`.
    """
    until = int(time.time()) if now is None else now
    seen = recorded = gap = 0
    for page, reached in _stretches(runtime, _since(runtime, until), until):
        for raw in page:
            outcome = _record(runtime, raw)
            if outcome == "full":
                return Reconciled(seen, recorded, gap, complete=False)
            seen += 1
            recorded += outcome == "recorded"
            gap += outcome == "recorded" and raw["created"] < until - IN_FLIGHT_SECONDS
        _move(runtime, reached, len(page), gap)
    log.info("reconciled", seen=seen, recorded=recorded, gap=gap)
    return Reconciled(seen, recorded, gap, complete=True)


def _since(runtime: Runtime, until: int) -> int:
    watermark = runtime.store.fields(WATERMARK, "watermark")[0]
    return int(watermark) - OVERLAP_SECONDS if watermark else until - ARCHIVE_SECONDS


def _stretches(runtime: Runtime, start: int, end: int) -> Iterator[tuple[list[Json], int]]:
    """Yield pages of events, oldest first, each with the second up to which all were seen."""
    stack = [(start, end)]
    while stack:
        low, high = stack.pop()
        pages = runtime.gateway.events(created={"gte": low, "lte": high})
        page = next(pages)
        more = next(pages, None)
        if more and high > low:
            middle = (low + high) // 2
            stack += [(middle + 1, high), (low, middle)]
            continue
        rest = [raw for further in pages for raw in further]
        yield list(reversed(page + (more or []) + rest)), high


def _record(runtime: Runtime, raw: Json) -> str:
    if raw.get("livemode") != runtime.settings.livemode:
        return "ignored"
    return runtime.inbox.record(parse_event(raw), compact(raw), source="reconcile").outcome


def _move(runtime: Runtime, reached: int, seen: int, gap: int) -> None:
    with redis_errors():
        runtime.store.redis.hset(
            WATERMARK,
            mapping={
                "watermark": reached,
                "ran_at": int(time.time()),
                "last_seen": seen,
                "gap": gap,
            },
        )
