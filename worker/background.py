"""The lower CPU priority of background work: processes that people wait for run first."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Steps of nice(2): the process gets a third of the CPU time of one with the usual priority.
NICENESS = 5
# Where the kernel first divides CPU time between sessions (sched(7), "The autogroup feature"), the
# niceness of a process counts only within its session, so the session's is raised too.
AUTOGROUP = Path("/proc/self/autogroup")


def step_back() -> None:
    """Lower the CPU priority of this process; call it once.

    It has no effect while there are processors for all. Between containers and between units of
    systemd their CPU shares decide instead (docker-compose.yml, deploy/).
    """
    os.nice(NICENESS)
    if _leads_session():
        with suppress(OSError):
            AUTOGROUP.write_text(str(NICENESS), "ascii")


def _leads_session() -> bool:
    """Say whether this process leads its session, so that it is not that of a person's shell."""
    return os.getsid(0) == os.getpid()
