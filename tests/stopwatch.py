"""Measure how long something takes, without the delay by other load on the machine."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

# Seconds of computing for one sample, and seconds between two: a tenth of a core.
LOOK_CPU_SECONDS = 0.005
PAUSE_SECONDS = 0.05


class Stopwatch:
    """Measures in `seconds` what a block takes, or took, without the delay by other load.

    Limits of time are promises about our waiting, not about the machine's load. So a thread
    computes a little all the time and compares its processor time with the clock's, which shows how
    many times slower everything is at the moment.
    """

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0
        self._took: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look_again_and_again, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        self._began = time.monotonic()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._took = time.monotonic() - self._began
        self._end.set()
        self._thread.join()
        self._look()

    @property
    def clock_seconds(self) -> float:
        """Return the clock's seconds since the beginning, or of the whole block after its end."""
        return time.monotonic() - self._began if self._took is None else self._took

    @property
    def seconds(self) -> float:
        """Return how many of these it takes at most on a machine without other load."""
        return self.clock_seconds / max(1.0, self._wall / self._cpu)

    def _look_again_and_again(self) -> None:
        while not self._end.wait(PAUSE_SECONDS):
            self._look()

    def _look(self) -> None:
        began, computed = time.monotonic(), time.thread_time()
        while time.thread_time() - computed < LOOK_CPU_SECONDS:
            pass
        self._cpu += time.thread_time() - computed
        self._wall += time.monotonic() - began
