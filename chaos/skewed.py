"""`python -m chaos.skewed SECONDS MODULE …`: run a module on a host whose clock is wrong.

It sets the clocks for the time of day ahead, or behind if negative, and not those that measure
durations, as on a real host.
"""

from __future__ import annotations

import datetime
import runpy
import sys
import time


def skew(seconds: float) -> None:
    """Set this process's clocks for the time of day ahead."""
    real_time, real_datetime = time.time, datetime.datetime
    ahead = datetime.timedelta(seconds=seconds)

    class Skewed(real_datetime):  # type: ignore[valid-type,misc]  # the class it replaces
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real_datetime.now(tz) + ahead

    time.time = lambda: real_time() + seconds
    datetime.datetime = Skewed  # type: ignore[misc]  # the point


if __name__ == "__main__":
    offset, module = sys.argv[1:3]
    skew(float(offset))
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
