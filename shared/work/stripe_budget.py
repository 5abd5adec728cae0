"""The budget of calls to Stripe: one rate limit, shared by all processes that draw on it.

Stripe allows an account so many calls a second, and so many to each endpoint
(https://docs.stripe.com/rate-limits; `STRIPE_RATE_LIMIT`, `STRIPE_ENDPOINT_RATE_LIMIT`). Each limit
is a token bucket in Redis (`lua/draw.lua`), and every call takes one token from its account's and
one from its endpoint's:

- `PAYMENTS`, all that somebody waits for in the API, never wait: what they take is told to Redis
  beside the call, and a bucket may come to owe them up to one second's calls.
- `LOOK_UPS`, what events and upkeep ask, leave a quarter of the burst to payments.
- `REFUNDS` leave half of it, so that under contention they get what the others do not use.

A worker waits for its turn for `PATIENCE_SECONDS` at the most, in at most half of its threads; else
it raises `OverBudget` with a turn of its own, and the item is snoozed, which costs no attempt. A
429 halves the rate of what Stripe names as limited, for a while. When Redis does not answer, calls
go ahead without a token: then Stripe's own limits are the only ones.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from threading import BoundedSemaphore
from typing import Any

from shared.canonical_json import compact
from shared.deadline import deadline, remaining
from shared.errors import OverBudget, Unavailable
from shared.settings import Settings
from shared.store.scripts import Call, Store
from shared.stripe.rate_limits import ACCOUNT
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import STRIPE_BUDGET, STRIPE_LOWERED

log = get_logger(__name__)
OWN = "own"
# The share of a limit that may be used at once; the rest is what flows in within a second. So no
# second has more calls than the limit, and a steady stream leaves this share to calls that take
# unequally long to reach Stripe.
BURST_SHARE = 0.2
# How long a worker's thread waits for a token: the relay rings for put-off work every half second.
PATIENCE_SECONDS = 0.5
# A rate that was halved is whole again after half of this; several refusals within `TOGETHER_MS`
# are one sign, and the rate never falls below this share: the next sign must be able to come.
RECOVERY_MS = 30_000
TOGETHER_MS = 1_000
LEAST_SHARE = 0.1
# No turn is further away; with as many waiting, those who come back begin a new line.
LONGEST_LINE_MS = 3_600_000
# The budget is no reason to wait for Redis: a call goes ahead after this long, and for a while
# nobody asks again.
ANSWER_SECONDS = 0.5
REDIS_PAUSE_SECONDS = 5.0
# Calls of an API process are told to Redis together: a moment's worth in one script.
GATHER_SECONDS = 0.02


class Priority(StrEnum):
    """Who draws on the budget, the most urgent first."""

    PAYMENTS = "payments"
    LOOK_UPS = "look_ups"
    REFUNDS = "refunds"


# The share of a burst that each leaves to those before it.
RESERVES = {Priority.PAYMENTS: 0.0, Priority.LOOK_UPS: 0.25, Priority.REFUNDS: 0.5}


def bucket(name: str, limit: int, priority: Priority) -> dict[str, Any]:
    """Describe a bucket to the script: depth and rate together are the limit of one second."""
    depth = max(1.0, limit * BURST_SHARE)
    return {
        "name": name,
        "depth": depth,
        # Of a limit of one call a second, half: else nothing would ever flow in.
        "rate": max(limit - depth, limit / 2),
        "floor": RESERVES[priority] * (depth - 1),
        "most_owed": limit,
    }


class _Buckets:
    """Run the script for one process's priority."""

    def __init__(self, store: Store, settings: Settings, priority: Priority) -> None:
        self._store = store
        self._settings = settings
        self._priority = priority
        self._ask_again_at = 0.0

    def run(
        self,
        account: str,
        endpoint: str = "",
        count: int = 0,
        patience_seconds: float = 0.0,
        lowered: Sequence[str] = (),
    ) -> tuple[bool, float]:
        """Take tokens or lower rates; give whether they were taken and the seconds to wait.

        Raises `Unavailable`, also for a while after Redis did not answer.
        """
        limits = (
            (ACCOUNT, self._settings.stripe_rate_limit),
            (
                endpoint,
                self._settings.stripe_endpoint_rate_limit,
            ),
        )
        plan = {
            "priority": self._priority,
            "count": count,
            "may_owe": self._priority is Priority.PAYMENTS,
            "patience_ms": round(patience_seconds * 1000),
            "buckets": [bucket(name, limit, self._priority) for name, limit in limits],
            "lowered": list(lowered),
            "least_share": LEAST_SHARE,
            "recovery_ms": RECOVERY_MS,
            "together_ms": TOGETHER_MS,
            "longest_ms": LONGEST_LINE_MS,
            "keep_ms": LONGEST_LINE_MS,
        }
        taken, wait_ms = self._ask(self._store.keys.budget(self._settings.mode, account), plan)
        return bool(taken), wait_ms / 1000

    def _ask(self, key: str, plan: dict[str, Any]) -> Any:
        if time.monotonic() < self._ask_again_at:
            raise Unavailable("The budget is not asked for a while.", code="store_unavailable")
        try:
            with deadline(ANSWER_SECONDS):
                return self._store.run(Call("draw", {"budget": key}, [compact(plan)]))
        except Unavailable as error:
            self._ask_again_at = time.monotonic() + REDIS_PAUSE_SECONDS
            log.warning("budget_unanswered", error=str(error), detail="Calling without a budget.")
            raise


class Budget:
    """The budget as a worker draws on it: a call waits for its turn, or is put off."""

    def __init__(
        self, store: Store, settings: Settings, priority: Priority, seats: BoundedSemaphore
    ) -> None:
        """Draw as one priority; `seats` are the threads of this process that may wait at a time."""
        self._buckets = _Buckets(store, settings, priority)
        self._tally = store.tally
        self._priority = priority
        self._seats = seats

    def draw(self, account: str | None, endpoint: str) -> None:
        """Wait for the turn of one call. Raises `OverBudget`, which says when to come again."""
        seated = self._seats.acquire(blocking=False)
        try:
            wait = self._turn(account or OWN, endpoint, PATIENCE_SECONDS if seated else 0.0)
            left = remaining()
            time.sleep(wait if left is None else min(wait, left))
        finally:
            if seated:
                self._seats.release()

    def _turn(self, account: str, endpoint: str, patience_seconds: float) -> float:
        try:
            taken, wait = self._buckets.run(account, endpoint, 1, patience_seconds)
        except Unavailable:
            self._count("unanswered")
            return 0.0
        self._count("taken" if taken else "put_off")
        if not taken:
            raise OverBudget(f"Stripe's rate limit for {endpoint} is used up.", delay_seconds=wait)
        return wait

    def lower(self, account: str | None, buckets: Sequence[str]) -> None:
        """Halve the rates of these buckets for a while: Stripe answered 429."""
        self._tally.count(STRIPE_LOWERED)
        try:
            self._buckets.run(account or OWN, lowered=buckets)
        except Unavailable:
            return  # logged; whoever was refused waits as `Retry-After` says

    def _count(self, outcome: str) -> None:
        self._tally.count(STRIPE_BUDGET, priority=self._priority, outcome=outcome)


class PromptBudget:
    """The budget as the API draws on it: no call waits for it, and Redis is told beside the call.

    A thread of its own tells what was taken, so that a slow Redis delays no payment; what cannot
    be told is forgotten, for it concerns the present second only.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._buckets = _Buckets(store, settings, Priority.PAYMENTS)
        self._tally = store.tally
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._taken: Counter[tuple[str, str]] = Counter()
        self._lowered: dict[str, set[str]] = {}
        self._thread: threading.Thread | None = None

    def draw(self, account: str | None, endpoint: str) -> None:
        """Count one call; returns at once."""
        self._tally.count(STRIPE_BUDGET, priority=Priority.PAYMENTS, outcome="taken")
        with self._lock:
            self._taken[account or OWN, endpoint] += 1
        self._tell()

    def lower(self, account: str | None, buckets: Sequence[str]) -> None:
        """Halve the rates of these buckets for a while; returns at once."""
        self._tally.count(STRIPE_LOWERED)
        with self._lock:
            self._lowered.setdefault(account or OWN, set()).update(buckets)
        self._tell()

    def _tell(self) -> None:
        with self._lock:  # begun at the first call: a process may have been forked before it
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="budget", daemon=True)
                self._thread.start()
        self._news.set()

    def _run(self) -> None:
        while self._news.wait():
            time.sleep(GATHER_SECONDS)
            self._news.clear()
            self.flush()

    def flush(self) -> None:
        """Tell Redis what was taken since the last time."""
        with self._lock:
            taken, self._taken = self._taken, Counter()
            lowered, self._lowered = self._lowered, {}
        try:
            for (account, endpoint), count in taken.items():
                self._buckets.run(account, endpoint, count)
            for account, names in lowered.items():
                self._buckets.run(account, lowered=sorted(names))
        except Unavailable:
            self._tally.count(STRIPE_BUDGET, priority=Priority.PAYMENTS, outcome="unanswered")
