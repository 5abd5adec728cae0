"""Carry the keys of an earlier release over to today's names, in one step that may be repeated.

Up to version 0.1 keys began with `billing:`; they begin with the hash tag `{billing}:` now. Every
process does this before it serves, so the first one to start moves all keys, and none works on a
part of them. A key is copied before it is deleted. An index that exists under both names is joined;
any other such key is left where it is. So nothing is lost, whenever this is interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import cast

from redis.exceptions import ResponseError

from shared.keys import INSTALLATION
from shared.store.scripts import Store, redis_errors
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
OLD_PREFIX = "billing:"
ALL_OLD = f"{OLD_PREFIX}*"
# Every store of an earlier release has it; it is moved last.
LAST = f"{OLD_PREFIX}due:upkeep"
# Keys read and written in one round trip: payloads are a few kilobytes each.
CHUNK = 200


def carry_over(store: Store) -> int:
    """Move every key of an earlier release; return how many. Raises `Unavailable`."""
    if store.keys.installation != INSTALLATION:
        return 0
    with redis_errors():
        if not store.redis.exists(LAST):
            return 0
        count = 0
        names = (str(name) for name in store.redis.scan_iter(ALL_OLD, count=1000))
        rest = iter(name for name in names if name != LAST)
        while chunk := list(islice(rest, CHUNK)):
            count += _move(store, chunk)
        count += _move(store, [LAST])
    log.warning("keys_carried_over", keys=count)
    return count


def _move(store: Store, names: list[str]) -> int:
    """Copy keys with their remaining expiries, then delete them."""
    copies = [name for name in names if _copy(store, name)]
    for name in copies:
        store.redis.delete(name)
    return len(copies)


def _copy(store: Store, name: str) -> bool:
    """Copy a key; join an index with the one that exists; False for any other that exists."""
    today = store.keys.prefix + name.removeprefix(OLD_PREFIX)
    redis = store.redis
    left_ms, dump = int(redis.pttl(name)), redis.dump(name)
    if dump is None:
        return True  # it expired, or another process moved it
    try:
        redis.restore(today, max(left_ms, 0), dump)
    except ResponseError as error:
        if "BUSYKEY" not in str(error):
            raise
        return _join(store, name, today) or redis.dump(today) == dump
    return True


def _join(store: Store, name: str, today: str) -> bool:
    """Add the members of an index to the one with today's name, whose scores have priority."""
    if store.redis.type(name) != "zset":
        log.error("key_exists_under_both_names", key=name, today=today)
        return False
    for member, score in cast(Iterator[tuple[str, float]], store.redis.zscan_iter(name)):
        store.redis.zadd(today, {member: score}, nx=True)
    return True
