"""Progress: whether the threads of this worker get anywhere.

Every attempt has a total deadline inside its lease. So while attempts are under way, one of them
begins or ends within the longest lease; if none does, every thread hangs in something that knows no
deadline, whatever else the process still answers.
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
    """Give the longest lease of the queues that a worker with these settings serves."""
    return max(KINDS[name].lease_ms(settings) for name in settings.worker_queues) / 1000


class Progress:
    """Note when attempts begin and end; safe between threads."""

    def __init__(self, limit_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._moved_at = clock()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Note that an attempt begins, and its end however it ends."""
        self._move(+1)
        try:
            yield
        finally:
            self._move(-1)

    def is_stuck(self) -> bool:
        """Say whether attempts are under way and none began or ended for too long."""
        with self._lock:
            silent = self._clock() - self._moved_at
            return self._under_way > 0 and silent > self._limit_seconds

    def _move(self, change: int) -> None:
        with self._lock:
            self._under_way += change
            self._moved_at = self._clock()


class Watchdog:
    """Tell everybody when this worker is stuck; called once a second."""

    def __init__(self, progress: Progress, signs: Signs) -> None:
        self._progress = progress
        self._signs = signs
        self._logged = False

    def __call__(self) -> None:
        """Look once. Raises nothing: without Redis the log and the health check tell alone."""
        is_stuck = self._progress.is_stuck()
        if is_stuck and not self._logged:
            log.error("worker_stuck", detail="Attempts are under way, and none began or ended.")
        self._logged = is_stuck
        with suppress(Unavailable):
            if is_stuck:
                self._signs.give(STUCK)
