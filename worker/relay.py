"""The relay: rings again for whatever is due, so that no doorbell has to arrive."""

from __future__ import annotations

from shared.store.scripts import Call, Store, redis_errors
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import RINGS
from shared.work.items import GUARD_MS
from shared.work.kinds import KINDS, NOTIFICATIONS, UPKEEP, Kind

log = get_logger(__name__)
# Upkeep itself is work that is due at a time; these are its duties.
DUTIES = ("reconcile", "reap", "payment_index", "refund_batches")
# While the event service is ill, only as many notifications are rung for as probe it.
PROBES = 2
# Above this many messages in a queue the relay holds back: whoever waits behind so many does not
# lack a bell, and ringing again for it would only make the queue longer. Half a second's work of
# one worker, so that none is idle until the next sweep.
QUEUE_HIGH_WATER = 250
# Items one sweep rings for, so that a sweep holds Redis for a few milliseconds only.
RELAY_LIMIT = 500
# A clock that is corrected by less makes nothing wait for longer than a person notices.
CLOCK_SLACK_MS = 1_000


def run_once(store: Store) -> dict[str, int]:
    """Sweep every kind of work once; return how many items of each were rung for.

    Any number of relays at a time is harmless: each sweep pushes what it rang for into the future.
    Raises `Unavailable`.
    """
    rewind(store)
    ensure_duties(store)
    rung = {}
    for kind in KINDS.values():
        limit = PROBES if kind is NOTIFICATIONS and _open(store) else RELAY_LIMIT
        rung[kind.name] = sweep(store, kind, limit)
        if rung[kind.name]:
            store.tally.count(RINGS, rung[kind.name], kind=kind.name)
    return rung


def sweep(store: Store, kind: Kind, limit: int = RELAY_LIMIT) -> int:
    """Ring for due items of a kind; return for how many. Raises `Unavailable`."""
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
    """Schedule the duties of upkeep where they are missing: on an empty Redis, all are due now.

    Raises `Unavailable`.
    """
    keys = store.keys
    names = {"due": keys.due(UPKEEP), "item": [keys.item(UPKEEP, duty) for duty in DUTIES]}
    store.run(Call("duties", names, DUTIES))


def _open(store: Store) -> bool:
    with redis_errors():
        return bool(store.redis.exists(store.keys.breaker()))
