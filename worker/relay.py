"""The relay: rings again for all due work, so that the loss of a doorbell loses no work."""

from __future__ import annotations

import time
from math import inf
from typing import cast

from shared.stopping import StopRequest
from shared.store.scripts import Call, Store, redis_errors
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import RINGS
from shared.work.items import GUARD_MS
from shared.work.kinds import KINDS, NOTIFICATIONS, UPKEEP, Kind

log = get_logger(__name__)
# The duties of upkeep: items that are due at a time, as all work.
DUTIES = ("reconcile", "reap", "payment_index", "refund_batches")
# Notifications that one sweep rings for while the breaker is open: they probe the event service.
PROBES = 2
# The relay does not ring while a queue has more messages than this: the due items probably have
# their doorbells in it, and more would only lengthen it. It is half a second's work of one worker,
# so that no worker is idle until the next sweep.
QUEUE_HIGH_WATER = 250
# Items that one sweep rings for, so that it occupies Redis for only a few milliseconds.
RELAY_LIMIT = 500
# A smaller correction of the clock delays work by less than a person notices.
CLOCK_SLACK_MS = 1_000
# Shortest pause between two sweeps: many items that are due one after another share a sweep.
LEAST_PAUSE_SECONDS = 0.05


def run_once(store: Store) -> dict[str, int]:
    """Ring for due work of every kind once; return the number of items by kind.

    Any number of relays may run: each sweep sets the due time of its items into the future. Raises
    `Unavailable`.
    """
    rewind(store)
    ensure_duties(store)
    return _sweep_all(store)


def _sweep_all(store: Store) -> dict[str, int]:
    rings = {}
    for kind in KINDS.values():
        limit = PROBES if kind is NOTIFICATIONS and _open(store) else RELAY_LIMIT
        rings[kind.name] = sweep(store, kind, limit)
        if rings[kind.name]:
            store.tally.count(RINGS, rings[kind.name], kind=kind.name)
    return rings


def wait(store: Store, seconds: float, stop: StopRequest) -> None:
    """Wait until the next run or until stopped; ring for items that are due before, when they are.

    So an item that was put off for a tenth of a second does not wait for half a second, and items
    with times of their own do not start together. Raises `Unavailable`.
    """
    ends_at = time.monotonic() + seconds
    while not stop.is_set() and (left := ends_at - time.monotonic()) > 0:
        pause = max(LEAST_PAUSE_SECONDS, next_due_seconds(store))
        if pause >= left:
            stop.wait(left)
            return
        stop.wait(pause)
        _sweep_all(store)


def next_due_seconds(store: Store) -> float:
    """Return the seconds until the next item of any kind is due; `inf` without one.

    Items that are due already do not count: the relay holds back with them. Raises `Unavailable`.
    """
    now_ms = store.now_ms()
    with redis_errors():
        pipe = store.redis.pipeline(transaction=False)
        for kind in KINDS.values():
            pipe.zrangebyscore(store.keys.due(kind), f"({now_ms}", inf, 0, 1, withscores=True)
        rows = cast(list[list[tuple[str, float]]], pipe.execute())
    return min((due_ms - now_ms for row in rows for _, due_ms in row), default=inf) / 1000


def sweep(store: Store, kind: Kind, limit: int = RELAY_LIMIT) -> int:
    """Ring for due items of a kind; return how many. Raises `Unavailable`."""
    names = {"due": store.keys.due(kind), "queue": store.keys.queue(kind)}
    args = [limit, GUARD_MS, QUEUE_HIGH_WATER, kind.message]
    return int(store.run(Call("relay", names, args)))


def rewind(store: Store) -> None:
    """Set all due times back when Redis's clock was set back. Raises `Unavailable`."""
    keys = store.keys
    names = {"latest": keys.latest(), "due": [keys.due(kind) for kind in KINDS.values()]}
    back_ms = int(store.run(Call("rewind", names, [CLOCK_SLACK_MS])))
    if back_ms:
        log.warning("clock_set_back", seconds=back_ms / 1000)


def ensure_duties(store: Store) -> None:
    """Schedule the missing duties of upkeep for now; an empty Redis lacks all of them.

    Raises `Unavailable`.
    """
    keys = store.keys
    names = {"due": keys.due(UPKEEP), "item": [keys.item(UPKEEP, duty) for duty in DUTIES]}
    store.run(Call("duties", names, DUTIES))


def _open(store: Store) -> bool:
    with redis_errors():
        return bool(store.redis.exists(store.keys.breaker()))
