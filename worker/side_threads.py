"""Let a worker's thread go when an answer takes long: the attempt goes on in a thread of its own.

An event service that is slow for some notifications would else hold every thread of the notifier,
and those that it would take at once would wait with them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore
from typing import Any

from shared.telemetry.logging import get_logger
from worker.bells import LONGEST_SECONDS

log = get_logger(__name__)
# A good event service answers sooner: then all happens as if there were no second thread. Not
# before a thread that serves bells is done, or more deliveries would be under way than are meant.
LET_GO_SECONDS = LONGEST_SECONDS + 0.05
# Attempts in the air at a time. One waits for ten seconds at most, in about 50 kB.
MOST = 128


class SideThreads:
    """Run attempts; at most `most` at a time, one more waits for the first to end.

    An error of the `expected` kinds is no defect when it comes late.
    """

    def __init__(self, most: int = MOST, expected: tuple[type[Exception], ...] = ()) -> None:
        self._expected = expected
        self._free = BoundedSemaphore(most)
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="attempt")

    def run(self, act: Callable[..., None], *arguments: Any) -> None:
        """Run until the end, or until it takes long. Raises what it raised until then."""
        self._free.acquire()
        future = self._pool.submit(act, *arguments)
        future.add_done_callback(self._ended)
        if wait([future], timeout=LET_GO_SECONDS).done:
            future.result()
        else:
            future.add_done_callback(self._tell)

    def _ended(self, _: Future[None]) -> None:
        self._free.release()

    def _tell(self, future: Future[None]) -> None:
        """Log a defect that nobody waits for any more."""
        error = future.exception()
        if error is not None and not isinstance(error, self._expected):
            log.error("late_attempt_failed", exc_info=error)
