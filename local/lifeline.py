"""End a process together with the process that started it, where the kernel can do this (Linux)."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when its parent dies


def die_with_parent() -> None:
    """Ask the kernel to send this process SIGTERM when its parent dies, also by SIGKILL.

    The setting survives `exec`, so call it between fork and exec. On systems other than Linux it
    does nothing: there, a supervisor that was killed leaves its children running.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
