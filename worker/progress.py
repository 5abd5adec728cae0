"""Find out whether the threads of this worker make progress.

Every attempt has a total deadline inside its lease. So while attempts are running, one of them
begins or ends within the longest lease. If none does, every thread hangs in an operation without a
deadline, even if the process still answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from shared.errors import Unavailable
from shared.settings import Settings
from shared.telemetry.logging import get_logger
from shared.work.kinds import KINDS
from shared.work.liveness import STUCK, Signs

log = get_logger(__name__)


def longest_lease_seconds(settings: Settings) -> float:
    """Return the longest lease of the queues that a worker with these settings serves."""
    return max(KINDS[name].lease_ms(settings) for name in settings.worker_queues) / 1000


class Progress:
    """Record when attempts begin and end; safe to share between threads."""

    def __init__(self, limit_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._moved_at = clock()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Record the beginning of an attempt, and its end, whether it succeeds or raises."""
        self._move(+1)
        try:
            yield
        finally:
            self._move(-1)

    def is_stuck(self) -> bool:
        """Say whether attempts are running and none began or ended within the limit."""
        with self._lock:
            silent = self._clock() - self._moved_at
            return self._under_way > 0 and silent > self._limit_seconds

    def _move(self, change: int) -> None:
        with self._lock:
            self._under_way += change
            self._moved_at = self._clock()


class Watchdog:
    """Report a stuck worker in the log and in Redis; called once a second."""

    def __init__(self, progress: Progress, signs: Signs) -> None:
        self._progress = progress
        self._signs = signs
        self._logged = False

    def __call__(self) -> None:
        """Check once. Raises nothing: without Redis, the log and the health check still report."""
        is_stuck = self._progress.is_stuck()
        if is_stuck and not self._logged:
            log.error("worker_stuck", detail="Attempts are running, and none began or ended.")
        self._logged = is_stuck
        with suppress(Unavailable):
            if is_stuck:
                self._signs.give(STUCK)
