"""The state of the queues: waiting, due and dead items, and the workers of each."""

from __future__ import annotations

from typing import Any

from shared.store.scripts import Store, redis_errors
from shared.work.kinds import KINDS
from shared.work.liveness import alive, is_recent

Json = dict[str, Any]


def queues(store: Store) -> Json:
    """Read the state of each queue: one round trip for the figures, one for the signs of life.

    Raises `Unavailable`.
    """
    keys, now = store.keys, store.now_ms()
    with redis_errors():
        pipe = store.redis.pipeline(transaction=False)
        for kind in KINDS.values():
            pipe.llen(keys.queue(kind))
            pipe.zcard(keys.due(kind))
            pipe.zcount(keys.due(kind), "-inf", now)
            pipe.zrange(keys.due(kind), 0, 0, withscores=True)
            pipe.zcard(keys.dead(kind))
        pipe.exists(keys.breaker())
        *figures, breaker = pipe.execute()
    signs = alive(store)
    silent = signs.silent_queues()
    at_work = {
        name: {who for who, age in ages.items() if is_recent(age)}
        for name, ages in signs.queues.items()
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
                "consumers": len(at_work[kind.name]),
                "silent": kind.name in silent,
                "consumed_seconds_ago": min(signs.queues[kind.name].values(), default=None),
            }
        )
    return {
        "data": rows,
        "workers": len(set().union(*at_work.values())),
        "breaker_open": bool(breaker),
        "stuck": signs.stuck_processes(),
        "upkeep_silent": signs.upkeep_is_silent(),
        "upkeep_seconds_ago": min(signs.upkeep.values(), default=None),
    }
