"""The relay: rings again for whatever is due, so that no doorbell has to arrive."""

from __future__ import annotations

from dataclasses import dataclass

from shared.store.scripts import Store, redis_errors
from shared.telemetry.tally import RINGS
from shared.work.breaker import BREAKER
from shared.work.items import KINDS, NOTIFICATIONS, RELAY_LIMIT, UPKEEP, relay

# Upkeep itself is work that is due at a time; these are its duties.
DUTIES = ("reconcile", "reap")
# While the event service is ill, only as many notifications are rung for as probe it.
PROBES = 2


@dataclass(frozen=True)
class Sweep:
    """What one sweep did, by kind of work."""

    rung: dict[str, int]
    overdue_ms: dict[str, int]


def run_once(store: Store) -> Sweep:
    """Sweep every kind of work once; any number of relays at a time is harmless."""
    ensure_duties(store)
    rung, overdue = {}, {}
    for kind in KINDS.values():
        limit = PROBES if kind is NOTIFICATIONS and _open(store) else RELAY_LIMIT
        rung[kind.name], overdue[kind.name] = relay(store, kind, limit)
        if rung[kind.name]:
            store.tally.count(RINGS, rung[kind.name], kind=kind.name)
    return Sweep(rung, overdue)


def ensure_duties(store: Store) -> None:
    """Schedule the duties of upkeep where they are missing: on an empty Redis, all are due now."""
    keys = [UPKEEP.due, *(UPKEEP.key(duty) for duty in DUTIES)]
    store.run("duties", keys, DUTIES)


def _open(store: Store) -> bool:
    with redis_errors():
        return bool(store.redis.exists(BREAKER))
