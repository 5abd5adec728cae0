"""Reap: remove the expired entries of the indexes; all other keys expire by themselves."""

from __future__ import annotations

from typing import cast

from shared.store.scripts import redis_errors
from shared.work.kinds import KINDS
from worker.runtime import Runtime

# Batches that one run checks: more than expire within an hour.
OLDEST_BATCHES = 100


def run_once(runtime: Runtime) -> int:
    """Remove index entries older than the tombstones; return how many.

    Any number may run at the same time. Raises `Unavailable`.
    """
    store, retention = runtime.store, runtime.settings.tombstone_retention_seconds
    oldest = store.now_ms() - retention * 1000
    with redis_errors():
        removals = sum(
            int(store.redis.zremrangebyscore(store.keys.index(kind), "-inf", oldest))
            for kind in KINDS.values()
        )
    return removals + _forgotten_batches(runtime)


def _forgotten_batches(runtime: Runtime) -> int:
    """Remove expired batches from their index; age alone does not show it, as one may run long."""
    store = runtime.store
    with redis_errors():
        ids = cast(list[str], store.redis.zrange(store.keys.batches(), 0, OLDEST_BATCHES - 1))
        expired_ids = [one for one in ids if not store.redis.exists(store.keys.batch(one))]
        return int(store.redis.zrem(store.keys.batches(), *expired_ids)) if expired_ids else 0
