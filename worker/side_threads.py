"""Free a worker's thread when an answer takes long: the attempt continues in its own thread.

An event service that is slow for some notifications would otherwise occupy every thread of the
notifier, and notifications that it accepts at once would wait as well.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore
from typing import Any

from shared.telemetry.logging import get_logger
from worker.bells import LONGEST_SECONDS

log = get_logger(__name__)
# A healthy event service answers sooner, and then the worker's thread waits for the whole attempt.
# It is longer than a thread serves doorbells, or more deliveries than intended would run.
LET_GO_SECONDS = LONGEST_SECONDS + 0.05
# Attempts that run at a time. Each lasts ten seconds at most and needs about 50 kB.
MOST = 128


class SideThreads:
    """Run at most `most` attempts at a time; a further one waits until one of them ends.

    An error of an `expected` type that comes late is not logged.
    """

    def __init__(self, most: int = MOST, expected: tuple[type[Exception], ...] = ()) -> None:
        self._expected = expected
        self._free = BoundedSemaphore(most)
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="attempt")

    def run(self, act: Callable[..., None], *arguments: Any) -> None:
        """Run `act` in a thread, and wait until it ends or takes long.

        Raises what `act` raises while this waits.
        """
        self._free.acquire()
        future = self._pool.submit(act, *arguments)
        future.add_done_callback(self._leave)
        if wait([future], timeout=LET_GO_SECONDS).done:
            future.result()
        else:
            future.add_done_callback(self._tell)

    def _leave(self, _: Future[None]) -> None:
        self._free.release()

    def _tell(self, future: Future[None]) -> None:
        """Log a defect in an attempt that no thread waits for any more."""
        error = future.exception()
        if error is not None and not isinstance(error, self._expected):
            log.error("late_attempt_failed", exc_info=error)
