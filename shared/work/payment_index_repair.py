"""Repair of the index of payments, in short slices, each of which continues where the last ended.

Settling keeps the index up to date. It cannot add payments that were settled before there was an
index, or before their metadata key was indexed, and it cannot remove members of expired payments.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

from shared.store.scripts import Call, Store, redis_errors
from shared.work.payment_index import members, payment_of_member, with_scores
from shared.work.payments import Payments

# Keys, or members, read in one round trip.
CHUNK = 500
# Seconds of one slice: a part of a duty's time, after which other duties run.
SLICE_SECONDS = 5.0
# Slices in which the whole index is searched for expired payments: one a hour for a day.
CLEARING_SLICES = 24
# A scan's cursor at its beginning, and again at its end.
START = "0"


class IndexRepair:
    """Add missing payments to the index, and remove the members of expired ones."""

    def __init__(self, store: Store, payments: Payments, indexed: tuple[str, ...]) -> None:
        self._store = store
        self._payments = payments
        self._indexed = indexed
        self._state = store.keys.payment_index_repair()

    def fill(self, seconds: float = SLICE_SECONDS) -> bool:
        """Index payments for one slice, if the index was made for other keys or for none.

        Returns whether the index is complete. Raises `Unavailable`.
        """
        key_list = ",".join(self._indexed)
        whole, under_way, cursor = self._store.fields(self._state, "indexed", "filling", "filled")
        if whole == key_list and self._exists():
            return True
        position = cursor if under_way == key_list and cursor else START
        until = time.monotonic() + seconds
        while True:
            position = self._fill_chunk(position)
            if position == START:
                self._keep(indexed=key_list, filling="", filled=START)
                return True
            self._keep(indexed="", filling=key_list, filled=position)
            if time.monotonic() >= until:
                return False

    def clear(self) -> int:
        """Remove members of expired payments from a part of the index; return their number.

        Raises `Unavailable`.
        """
        name = self._store.keys.payment_index()
        position = self._store.fields(self._state, "cleared")[0] or START
        with redis_errors():
            chunks = int(self._store.redis.zcard(name)) // (CLEARING_SLICES * CHUNK) + 1
        removals = 0
        for _ in range(chunks):
            with redis_errors():
                following, pairs = self._store.redis.zscan(name, int(position), count=CHUNK)
            removals += self._forget(str(member) for member, _ in pairs)
            position = str(following)
            if position == START:
                break
        self._keep(cleared=position)
        return removals

    def _exists(self) -> bool:
        with redis_errors():
            return bool(self._store.redis.exists(self._store.keys.payment_index()))

    def _fill_chunk(self, position: str) -> str:
        """Index the payments among the next keys of Redis; return the cursor of the next call."""
        pattern = self._store.keys.payment("*")
        with redis_errors():
            following, names = self._store.redis.scan(int(position), match=pattern, count=CHUNK)
        start = len(pattern) - 1
        ids = [str(name)[start:] for name in names]
        for record in self._payments.read_many([one for one in ids if ":" not in one]):
            index_members = members(record, self._indexed)
            if index_members:
                self._run("index", record.id, [record.revision, *with_scores(index_members)])
        return str(following)

    def _forget(self, candidates: Iterable[str]) -> int:
        """Remove the members whose payment has expired."""
        by_payment: dict[str, list[str]] = {}
        for member in candidates:
            by_payment.setdefault(payment_of_member(member), []).append(member)
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            for payment_id in by_payment:
                pipe.exists(self._store.keys.payment(payment_id))
            existence = cast(list[int], pipe.execute())
        forgotten = [one for one, lives in zip(by_payment, existence, strict=True) if not lives]
        return sum(self._run("forget", one, ["0", *by_payment[one]]) for one in forgotten)

    def _run(self, script: str, payment_id: str, args: list[str | int]) -> int:
        keys = self._store.keys
        names = {"payment": keys.payment(payment_id), "payment_index": keys.payment_index()}
        return int(self._store.run(Call(script, names, args)))

    def _keep(self, **fields: str) -> None:
        flat = [part for pair in fields.items() for part in pair]
        with redis_errors():
            self._store.redis.hset(self._state, items=flat)
