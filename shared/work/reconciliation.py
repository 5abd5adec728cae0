"""Progress of the comparison with Stripe's archive of events: one place for each account.

A round visits every account once. It may take many runs; the position is stored after every page,
so that a run can end at any time and the next one continues. The accounts are our own and each
connected one that an event ever came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from shared.store.scripts import Store, redis_errors
from shared.work.items import Work
from shared.work.kinds import UPKEEP

Json = dict[str, Any]
DUTY = "reconcile"
# Our own account, which has no name in Stripe's requests.
OWN = "own"
COUNTS = ("seen", "recorded", "gap")
# Statuses of a webhook endpoint at Stripe.
ENDPOINT_STATUSES = ("enabled", "disabled")
# Fields of a place within a round; they are removed when the round has finished the account.
WALK = ("position", "stretch", "refused", "dense")


@dataclass(frozen=True)
class Place:
    """The position of the comparison of one account, in Stripe's seconds.

    Everything up to `watermark` was compared at the end of a round. Within a round `position` is
    the second to continue from, `cursor` its last event read when it has many pages, and `stretch`
    the seconds to try there, after `refused` longer ones, of which the last had a page of events in
    `dense` seconds.
    """

    watermark: int | None = None
    position: int | None = None
    cursor: str = ""
    stretch: int | None = None
    refused: int = 0
    dense: int = 1


class Reconciliation:
    """Read and move the places, and count the events of a round."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = store.keys.reconcile()
        # Each account with the round that last visited it; 0 before the first.
        self._accounts = store.keys.accounts()

    def open_round(self) -> int:
        """Begin a round, or continue the one under way; return its name.

        Raises `Unavailable`.
        """
        current_round = self._store.fields(self._state, "round")[0]
        if current_round:
            return int(current_round)
        with redis_errors():
            last = self._store.redis.zrange(self._accounts, -1, -1, withscores=True)
        # Later than every round before it, even when the clock was set back.
        visited = cast(list[tuple[str, float]], last)
        name = max(self._store.now_ms(), *(int(round_) + 1 for _, round_ in visited), 0)
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hset(self._state, "round", name)
            for count in COUNTS:
                pipe.hset(self._state, f"round_{count}", 0)
            pipe.zadd(self._accounts, {OWN: 0}, nx=True)
            pipe.execute()
        return name

    def add_account(self, account: str) -> None:
        """Add an account to the next round. Raises `Unavailable`."""
        with redis_errors():
            self._store.redis.zadd(self._accounts, {account: 0}, nx=True)

    def to_visit(self, round_: int) -> list[str]:
        """List the accounts a round has not visited, our own first. Raises `Unavailable`."""
        with redis_errors():
            names = self._store.redis.zrangebyscore(self._accounts, "-inf", f"({round_}")
        return sorted((str(name) for name in cast(list[str], names)), key=lambda n: n != OWN)

    def place(self, account: str) -> Place:
        """Read the place of an account; all None for one never visited. Raises `Unavailable`."""
        names = ("watermark", "position", "cursor", "stretch", "refused", "dense")
        fields = dict(
            zip(names, self._store.fields(self._store.keys.place(account), *names), strict=True)
        )
        return Place(
            watermark=_number(fields["watermark"]),
            position=_number(fields["position"]),
            cursor=fields["cursor"] or "",
            stretch=_number(fields["stretch"]),
            refused=int(fields["refused"] or 0),
            dense=int(fields["dense"] or 1),
        )

    def move(self, account: str, place: Place, counts: dict[str, int]) -> None:
        """Store a position (all of `place` but its watermark), and add to the round's counts.

        Raises `Unavailable`.
        """
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            for name in WALK:
                pipe.hset(self._store.keys.place(account), name, getattr(place, name) or 0)
            pipe.hset(self._store.keys.place(account), "cursor", place.cursor)
            for name, count in counts.items():
                pipe.hincrby(self._state, f"round_{name}", count)
                pipe.hincrby(self._state, f"total_{name}", count)
            pipe.execute()

    def forget_cursor(self, account: str) -> None:
        """Start a second again, because Stripe may no longer have the cursor's event.

        Raises `Unavailable`.
        """
        with redis_errors():
            self._store.redis.hdel(self._store.keys.place(account), "cursor")

    def walked(self, lane: str, round_: int) -> bool:
        """Say whether a round is done with a lane of an account. Raises `Unavailable`."""
        return self._store.fields(self._store.keys.place(lane), "round")[0] == str(round_)

    def finish_lane(self, lane: str, round_: int, watermark: int | None) -> None:
        """Note that a round has finished a lane, up to its watermark if it has one.

        Raises `Unavailable`.
        """
        name = self._store.keys.place(lane)
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            if watermark is not None:
                pipe.hset(name, "watermark", watermark)
            pipe.hset(name, "round", round_)
            pipe.hdel(name, "cursor", *WALK)
            pipe.execute()

    def visited(self, account: str, round_: int) -> None:
        """Note that a round is done with an account. Raises `Unavailable`."""
        with redis_errors():
            self._store.redis.zadd(self._accounts, {account: round_})

    def close_round(self) -> dict[str, int]:
        """End the round; return its counts. Raises `Unavailable`."""
        texts = self._store.fields(self._state, *(f"round_{name}" for name in COUNTS))
        counts = {name: int(count or 0) for name, count in zip(COUNTS, texts, strict=True)}
        now = self._store.now_ms()
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hset(self._state, "completed_at", now)
            for name, count in counts.items():
                pipe.hset(self._state, name, count)
            pipe.hdel(self._state, "round")
            pipe.execute()
        return counts

    def note_endpoints(self, enabled: int, disabled: int) -> None:
        """Store the numbers of enabled and disabled webhook endpoints with our path.

        Raises `Unavailable`.
        """
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hset(self._state, "endpoints_enabled", enabled)
            pipe.hset(self._state, "endpoints_disabled", disabled)
            pipe.execute()

    def demand(self) -> str:
        """Make a round due now and ring; `due`, or `running` when one runs (another follows).

        Raises `Unavailable`.
        """
        return Work(self._store, UPKEEP).hasten(DUTY)

    def report(self) -> Json:
        """Report the comparison: the last round, the one under way, each account's watermark.

        Raises `Unavailable`.
        """
        state = self._store.hash(self._state)
        with redis_errors():
            accounts = cast(list[str], self._store.redis.zrange(self._accounts, 0, -1))
        places = {name: self.place(name) for name in accounts}
        return {
            "running": "round" in state,
            "completed_at_ms": int(state["completed_at"]) if "completed_at" in state else None,
            "last_round": {name: int(state.get(name, 0)) for name in COUNTS},
            "total": {name: int(state.get(f"total_{name}", 0)) for name in COUNTS},
            "endpoints": {
                status: int(state[f"endpoints_{status}"])
                for status in ENDPOINT_STATUSES
                if f"endpoints_{status}" in state
            },
            "watermarks": {name: place.watermark for name, place in places.items()},
        }


def _number(text: str | None) -> int | None:
    return int(text) if text else None
