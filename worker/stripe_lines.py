"""The lines to Stripe: limit how many of a worker's threads are in a call at a time.

Stripe may take seconds for each answer. A thread that waits for it cannot process events that need
no call, so some threads always stay free. An item that finds no free line is put off until its
turn is likely, and this does not count as an attempt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import OverBudget

# The estimated duration of a call before the first has ended, and the weight of each call in the
# moving average after that.
FIRST_GUESS_SECONDS = 0.5
WEIGHT = 0.2
# Bounds of the time for which an item is put off.
LONGEST_SECONDS, SHORTEST_SECONDS = 60.0, 0.2


class StripeLines:
    """Count the threads of one process that are in a call to Stripe."""

    def __init__(self, threads: int) -> None:
        # Calls for events leave a quarter of the threads free, calls for refunds half of them.
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
                raise OverBudget("All calls to Stripe are busy.", delay_seconds=self._turn(most))
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                seconds = time.monotonic() - began
                self._call_seconds += WEIGHT * (seconds - self._call_seconds)

    def _turn(self, most: int) -> float:
        """Return the seconds until a line is free for one more item, after all put off before."""
        now = time.monotonic()
        turn = max(now, self._last_turn) + self._call_seconds / most
        self._last_turn = min(turn, now + LONGEST_SECONDS)
        return max(SHORTEST_SECONDS, self._last_turn - now)
