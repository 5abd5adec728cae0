"""The queues at a glance: what waits, what is due, what died, and whether anyone is at work."""

from __future__ import annotations

from typing import Any

from shared.store.scripts import Store, redis_errors
from shared.work.breaker import BREAKER
from shared.work.items import KINDS
from shared.work.liveness import SILENT_SECONDS, alive

Json = dict[str, Any]


def queues(store: Store) -> Json:
    """Tell how each queue stands; one round trip for the figures, one for the signs of life."""
    now = store.now_ms()
    with redis_errors():
        pipe = store.redis.pipeline(transaction=False)
        for kind in KINDS.values():
            pipe.llen(kind.queue)
            pipe.zcard(kind.due)
            pipe.zcount(kind.due, "-inf", now)
            pipe.zrange(kind.due, 0, 0, withscores=True)
            pipe.zcard(kind.dead)
        pipe.exists(BREAKER)
        *figures, breaker = pipe.execute()
    signs = alive(store)
    at_work = {
        name: {who for who, age in seen.items() if age < SILENT_SECONDS}
        for name, seen in signs.queues.items()
    }
    rows = []
    for number, kind in enumerate(KINDS.values()):
        depth, open_, due, first, dead = figures[number * 5 : number * 5 + 5]
        overdue = max(0.0, (now - first[0][1]) / 1000) if first else 0.0
        rows.append(
            {
                "name": kind.name,
                "depth": depth,
                "open": open_,
                "due": due,
                "overdue_seconds": overdue,
                "dead": dead,
                "consumers": len(at_work[kind.queue]),
                "consumed_seconds_ago": min(signs.queues[kind.queue].values(), default=None),
            }
        )
    return {
        "data": rows,
        "workers": len(set().union(*at_work.values())),
        "breaker_open": bool(breaker),
        "upkeep_seconds_ago": min(signs.upkeep.values(), default=None),
    }
