"""Reap: drop from the indexes what is no longer remembered; everything else expires by itself."""

from __future__ import annotations

from typing import cast

from shared.store.scripts import redis_errors
from shared.work.kinds import KINDS
from worker.runtime import Runtime

# Batches that are looked at in one run: more than are forgotten within an hour.
OLDEST_BATCHES = 100


def run_once(runtime: Runtime) -> int:
    """Drop index entries older than the tombstones; return how many. Harmless in any number."""
    store, retention = runtime.store, runtime.settings.tombstone_retention_seconds
    oldest = store.now_ms() - retention * 1000
    with redis_errors():
        dropped = sum(
            int(store.redis.zremrangebyscore(store.keys.index(kind), "-inf", oldest))
            for kind in KINDS.values()
        )
    return dropped + _forgotten_batches(runtime)


def _forgotten_batches(runtime: Runtime) -> int:
    """Drop the batches from their index that have expired; one may run for long."""
    store = runtime.store
    with redis_errors():
        ids = cast(list[str], store.redis.zrange(store.keys.batches(), 0, OLDEST_BATCHES - 1))
        gone = [one for one in ids if not store.redis.exists(store.keys.batch(one))]
        return int(store.redis.zrem(store.keys.batches(), *gone)) if gone else 0
