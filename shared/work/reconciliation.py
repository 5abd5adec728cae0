"""How far Stripe's archive of events was compared with ours: one place for each account.

A round visits every account once. It may take many runs; where each stands is kept after every
page, so that a run can end at any moment and the next goes on. The accounts are our own and each
connected one that an event ever came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from shared.keys import key
from shared.store.scripts import Store, redis_errors
from shared.work.items import GUARD_MS, UPKEEP

Json = dict[str, Any]
DUTY = "reconcile"
STATE = key("reconcile")
# Each account with the round that last visited it; 0 before the first.
ACCOUNTS = key("reconcile", "accounts")
# Our own account, which has no name in Stripe's requests.
OWN = "own"
COUNTS = ("seen", "recorded", "gap")
# The numbers of a place within a round; gone when the round is done with the account.
WALK = ("position", "stretch", "refused", "dense")


@dataclass(frozen=True)
class Place:
    """Where the comparison of one account stands, in Stripe's seconds.

    Everything up to `watermark` was seen whole at the end of a round. Within a round `position` is
    the second to go on from, `cursor` the last event seen of it when it has many pages, and
    `stretch` the seconds to try there: after `refused` longer ones, of which the last had a page
    of events in `dense` seconds.
    """

    watermark: int | None = None
    position: int | None = None
    cursor: str = ""
    stretch: int | None = None
    refused: int = 0
    dense: int = 1


def remember(account: str) -> tuple[str | int, ...]:
    """Give the command that remembers an account whose events come to us."""
    return ("ZADD", ACCOUNTS, "NX", 0, account)


class Reconciliation:
    """Read and move the places, and count what a round found."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open_round(self) -> int:
        """Begin a round, or go on with the one that is under way; return its name."""
        begun = self._store.fields(STATE, "round")[0]
        if begun:
            return int(begun)
        name = self._store.now_ms()
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hset(STATE, "round", name)
            for count in COUNTS:
                pipe.hset(STATE, f"round_{count}", 0)
            pipe.zadd(ACCOUNTS, {OWN: 0}, nx=True)
            pipe.execute()
        return name

    def add_account(self, account: str) -> None:
        """Remember that an account's events come to us; it is visited in the next round."""
        with redis_errors():
            self._store.redis.execute_command(*remember(account))  # type: ignore[no-untyped-call]  # redis-py's

    def to_visit(self, round_: int) -> list[str]:
        """List the accounts a round has not visited, our own first."""
        with redis_errors():
            found = self._store.redis.zrangebyscore(ACCOUNTS, "-inf", f"({round_}")
        return sorted((str(name) for name in cast(list[str], found)), key=lambda n: n != OWN)

    def place(self, account: str) -> Place:
        """Tell where an account stands; all None for one never visited."""
        names = ("watermark", "position", "cursor", "stretch", "refused", "dense")
        found = dict(zip(names, self._store.fields(_key(account), *names), strict=True))
        return Place(
            watermark=_number(found["watermark"]),
            position=_number(found["position"]),
            cursor=found["cursor"] or "",
            stretch=_number(found["stretch"]),
            refused=int(found["refused"] or 0),
            dense=int(found["dense"] or 1),
        )

    def move(self, account: str, place: Place, counts: dict[str, int]) -> None:
        """Go on to a position (all of `place` but its watermark), and add to the round's counts."""
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            for name in WALK:
                pipe.hset(_key(account), name, getattr(place, name) or 0)
            pipe.hset(_key(account), "cursor", place.cursor)
            for name, count in counts.items():
                pipe.hincrby(STATE, f"round_{name}", count)
                pipe.hincrby(STATE, f"total_{name}", count)
            pipe.execute()

    def forget_cursor(self, account: str) -> None:
        """Begin a second anew: Stripe may have forgotten the event that the cursor names."""
        with redis_errors():
            self._store.redis.hdel(_key(account), "cursor")

    def visited(self, account: str, round_: int, watermark: int | None) -> None:
        """Note that a round is done with an account, seen whole up to its watermark."""
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            if watermark is not None:
                pipe.hset(_key(account), "watermark", watermark)
            pipe.hdel(_key(account), "cursor", *WALK)
            pipe.zadd(ACCOUNTS, {account: round_})
            pipe.execute()

    def close_round(self) -> dict[str, int]:
        """End the round; return what it counted."""
        counted = self._store.fields(STATE, *(f"round_{name}" for name in COUNTS))
        counts = {name: int(count or 0) for name, count in zip(COUNTS, counted, strict=True)}
        now = self._store.now_ms()
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hset(STATE, "completed_at", now)
            for name, count in counts.items():
                pipe.hset(STATE, name, count)
            pipe.hdel(STATE, "round")
            pipe.execute()
        return counts

    def demand(self) -> str:
        """Make a round due now and ring; `due`, or `running` when one runs (another follows)."""
        keys = [UPKEEP.key(DUTY), UPKEEP.due, UPKEEP.queue]
        return str(self._store.run("hasten", keys, [DUTY, UPKEEP.message, GUARD_MS]))

    def report(self) -> Json:
        """Tell how the comparison stands: the last round, the one under way, each account."""
        state = self._store.hash(STATE)
        with redis_errors():
            accounts = cast(list[str], self._store.redis.zrange(ACCOUNTS, 0, -1))
        places = {name: self.place(name) for name in accounts}
        return {
            "running": "round" in state,
            "completed_at_ms": int(state["completed_at"]) if "completed_at" in state else None,
            "last_round": {name: int(state.get(name, 0)) for name in COUNTS},
            "total": {name: int(state.get(f"total_{name}", 0)) for name in COUNTS},
            "watermarks": {name: place.watermark for name, place in places.items()},
        }


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _key(account: str) -> str:
    return key("reconcile", "of", account)
