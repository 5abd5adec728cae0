"""Interrupt a call at each of its lines, as a handler of signals may."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Thread
from types import FrameType
from typing import Any

# For what takes microseconds, on a busy machine, too.
PATIENCE_SECONDS = 5.0


def ends_though_interrupted(
    call: Callable[[], object], interrupt: Callable[[], object], seconds: float = PATIENCE_SECONDS
) -> bool:
    """Make a call, with an interruption before each line that it runs; say whether it ends."""

    def trace(_frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            interrupt()
        return trace

    def run() -> None:
        sys.settrace(trace)
        call()

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
