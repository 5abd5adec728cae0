"""The lines to Stripe: how many of a worker's threads may be in a call at a time.

Stripe may take seconds for each answer. Threads that wait for it are none for events that need no
call, so some always stay free; whoever finds no line is put off until it is likely to be its turn,
and comes back without having used an attempt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import OverBudget

# Before the first call has ended, it is taken for this slow; then each call's time counts a fifth.
FIRST_GUESS_SECONDS = 0.5
WEIGHT = 0.2
# A slow hour of Stripe's ends at some time: nobody is put off for longer, at the least for this.
LONGEST_SECONDS, SHORTEST_SECONDS = 60.0, 0.2


class StripeLines:
    """Count the threads of one process that are in a call to Stripe."""

    def __init__(self, threads: int) -> None:
        # What events ask leaves a quarter of the threads, refunds leave half of them.
        self.for_look_ups = max(1, threads * 3 // 4)
        self.for_refunds = max(1, threads // 2)
        self._lock = threading.Lock()
        self._busy = 0
        self._call_seconds = FIRST_GUESS_SECONDS
        self._last_turn = 0.0

    @contextmanager
    def hold(self, most: int) -> Iterator[None]:
        """Make a call as one of `most` at a time. Raises `OverBudget` when they are all busy."""
        began = time.monotonic()
        with self._lock:
            if self._busy >= most:
                raise OverBudget("Calls to Stripe take long.", delay_seconds=self._turn(most))
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                taken = time.monotonic() - began
                self._call_seconds += WEIGHT * (taken - self._call_seconds)

    def _turn(self, most: int) -> float:
        """Give the seconds until a line is free for one more, behind all that were put off."""
        now = time.monotonic()
        turn = max(now, self._last_turn) + self._call_seconds / most
        self._last_turn = min(turn, now + LONGEST_SECONDS)
        return max(SHORTEST_SECONDS, self._last_turn - now)
