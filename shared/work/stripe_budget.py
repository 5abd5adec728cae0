"""The budget of calls to Stripe: one rate limit, shared by all processes that draw on it.

Stripe limits the calls of an account per second, and the calls to each endpoint
(https://docs.stripe.com/rate-limits; `STRIPE_RATE_LIMIT`, `STRIPE_ENDPOINT_RATE_LIMIT`). Each limit
is a token bucket in Redis (`lua/draw.lua`), and every call takes one token from its account's and
one from its endpoint's:

- `PAYMENTS`, all calls of API requests, never wait: their tokens are taken in Redis beside the
  call, and a bucket may go below zero by up to one second's calls.
- `LOOK_UPS`, calls of events and upkeep, leave a quarter of the burst to payments.
- `REFUNDS` leave half of it, so that under contention they get the tokens that the others leave.

A worker waits for its turn for at most `PATIENCE_SECONDS`, in at most half of its threads;
otherwise it raises `OverBudget` with a time for its next try, and the item is snoozed, which costs
no attempt. A 429 halves the rate that Stripe names as limited, for a while. When Redis does not
answer, calls are made without a token: then only Stripe's own limits apply.
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
# The share of a limit that may be used at once; the rest flows in within a second. So no second has
# more calls than the limit, and this share allows for calls that take different times to reach
# Stripe.
BURST_SHARE = 0.2
# Seconds that a worker's thread waits for a token: the relay rings for snoozed work every half
# second.
PATIENCE_SECONDS = 0.5
# A halved rate is full again after half of this time; several refusals within `TOGETHER_MS` count
# as one, and the rate never falls below this share, so that the service notices the next refusal.
RECOVERY_MS = 30_000
TOGETHER_MS = 1_000
LEAST_SHARE = 0.1
# Milliseconds: the latest turn that is given out.
LONGEST_LINE_MS = 3_600_000
# Seconds to wait for Redis before a call is made without the budget, and the pause afterwards.
ANSWER_SECONDS = 0.5
REDIS_PAUSE_SECONDS = 5.0
# Seconds of an API process's calls that are counted in Redis together by one script.
GATHER_SECONDS = 0.02


class Priority(StrEnum):
    """The priorities of the budget, the most urgent first."""

    PAYMENTS = "payments"
    LOOK_UPS = "look_ups"
    REFUNDS = "refunds"


# The share of a burst that each priority leaves to those before it.
RESERVES = {Priority.PAYMENTS: 0.0, Priority.LOOK_UPS: 0.25, Priority.REFUNDS: 0.5}


def bucket(name: str, limit: int, priority: Priority) -> dict[str, Any]:
    """Describe a bucket to the script: depth and rate together are the limit of one second."""
    depth = max(1.0, limit * BURST_SHARE)
    return {
        "name": name,
        "depth": depth,
        # For a limit of one call per second, half of it: otherwise no token would ever flow in.
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
        """Take tokens or lower rates; return whether tokens were taken, and the seconds to wait.

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
        is_drawn, wait_ms = self._ask(self._store.keys.budget(self._settings.mode, account), plan)
        return bool(is_drawn), wait_ms / 1000

    def _ask(self, key: str, plan: dict[str, Any]) -> Any:
        if time.monotonic() < self._ask_again_at:
            raise Unavailable(
                "Redis did not answer; for a while the budget is not used.",
                code="store_unavailable",
            )
        try:
            with deadline(ANSWER_SECONDS):
                return self._store.run(Call("draw", {"budget": key}, [compact(plan)]))
        except Unavailable as error:
            self._ask_again_at = time.monotonic() + REDIS_PAUSE_SECONDS
            log.warning("budget_unanswered", error=str(error), detail="Calling without a budget.")
            raise


class Budget:
    """The budget of a worker: a call waits for its turn, or is postponed."""

    def __init__(
        self, store: Store, settings: Settings, priority: Priority, seats: BoundedSemaphore
    ) -> None:
        """Use one priority; `seats` is the number of this process's threads that may wait."""
        self._buckets = _Buckets(store, settings, priority)
        self._tally = store.tally
        self._priority = priority
        self._seats = seats

    def draw(self, account: str | None, endpoint: str) -> None:
        """Wait for the turn of one call. Raises `OverBudget` with the time of the next try."""
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
            is_drawn, wait = self._buckets.run(account, endpoint, 1, patience_seconds)
        except Unavailable:
            self._count("unanswered")
            return 0.0
        self._count("taken" if is_drawn else "put_off")
        if not is_drawn:
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
    """The budget of the API: no call waits for it, and calls are counted in Redis beside the call.

    A thread counts them, so that a slow Redis delays no payment; calls that cannot be counted are
    dropped, because they concern only the current second.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._buckets = _Buckets(store, settings, Priority.PAYMENTS)
        self._tally = store.tally
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._calls: Counter[tuple[str, str]] = Counter()
        self._lowered: dict[str, set[str]] = {}
        self._thread: threading.Thread | None = None

    def draw(self, account: str | None, endpoint: str) -> None:
        """Count one call; returns at once."""
        self._tally.count(STRIPE_BUDGET, priority=Priority.PAYMENTS, outcome="taken")
        with self._lock:
            self._calls[account or OWN, endpoint] += 1
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
        """Count the calls since the last time in Redis."""
        with self._lock:
            calls, self._calls = self._calls, Counter()
            lowered, self._lowered = self._lowered, {}
        try:
            for (account, endpoint), count in calls.items():
                self._buckets.run(account, endpoint, count)
            for account, names in lowered.items():
                self._buckets.run(account, lowered=sorted(names))
        except Unavailable:
            self._tally.count(STRIPE_BUDGET, priority=Priority.PAYMENTS, outcome="unanswered")
