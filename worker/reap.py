"""Reap: drop from the indexes what is no longer remembered; everything else expires by itself."""

from __future__ import annotations

from shared.store.scripts import redis_errors
from shared.work.kinds import KINDS
from worker.runtime import Runtime


def run_once(runtime: Runtime) -> int:
    """Drop index entries older than the tombstones; return how many. Harmless in any number."""
    store, retention = runtime.store, runtime.settings.tombstone_retention_seconds
    oldest = store.now_ms() - retention * 1000
    with redis_errors():
        return sum(
            int(store.redis.zremrangebyscore(store.keys.index(kind), "-inf", oldest))
            for kind in KINDS.values()
        )
