"""Hold background work back while processors are short, so that people's requests need not wait.

Linux counts, for each thread, the time on a CPU and the time of waiting for one (schedstat).
Workers have a lower priority than the processes that answer people (`worker.background`), so they
are the first to wait. The rate follows the rule of congestion control: it grows by steps, and
shrinks by a part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.telemetry.logging import get_logger

log = get_logger(__name__)
THREADS = Path("/proc/self/task")
# Shares of the full rate: at the start, at least, and the step up; and what is left by a step down.
FIRST_SHARE, LEAST_SHARE, STEP_UP, STEP_DOWN = 0.5, 0.25, 0.05, 0.7
# Processors are short when threads wait for them this many times as long as they run.
MOST_WAIT = 2.0
# Seconds between two steps; after longer ones without a question, the time in between says nothing.
STEP_SECONDS = 1.0
STALE_SECONDS = 10.0


@dataclass(frozen=True)
class CpuTime:
    """Nanoseconds that the threads of a process have run and have waited for a CPU."""

    ran: int
    waited: int


def cpu_time() -> CpuTime | None:
    """Read the times of the present threads of this process; None where none are counted."""
    counts: list[list[int]] = []
    for thread in THREADS.glob("[0-9]*"):
        with suppress(OSError):  # the thread ended, or this kernel does not count
            counts.append([int(count) for count in (thread / "schedstat").read_text().split()])
    return CpuTime(sum(one[0] for one in counts), sum(one[1] for one in counts)) if counts else None


class Throttle:
    """The share of its full rate at which background work goes on now."""

    def __init__(
        self,
        read: Callable[[], CpuTime | None] = cpu_time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._now = read, now
        self._share = FIRST_SHARE
        self._before: CpuTime | None = None
        self._read_at = float("-inf")

    def share(self) -> float:
        """Return a number from `LEAST_SHARE` to 1; ask while the work goes on, about each second.

        It is 1 where the kernel counts nothing.
        """
        now = self._now()
        passed = now - self._read_at
        if passed < STEP_SECONDS:
            return self._share
        before, after = self._before, self._read()
        self._before, self._read_at = after, now
        if after is None:
            self._share = 1.0
        elif before is not None and passed < STALE_SECONDS:
            self._step(after.ran - before.ran, after.waited - before.waited)
        return self._share

    def _step(self, ran: int, waited: int) -> None:
        """Take one step down or up. A thread that ended takes its times along: no step then."""
        if ran <= 0 or waited < 0:
            return
        before, short = self._share, waited > MOST_WAIT * ran
        share = before * STEP_DOWN if short else before + STEP_UP
        self._share = min(1.0, max(LEAST_SHARE, share))
        if self._share != before and self._share in (LEAST_SHARE, 1.0):
            log.info("batches_throttled", share=self._share, wait_ratio=round(waited / ran, 1))
