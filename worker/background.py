"""Work in the background of a machine: whoever answers people gets a processor first."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Steps of nice(2): a third of the share that a process of the usual priority has.
NICENESS = 5
# Where the kernel shares processors between sessions first (sched(7), "The autogroup feature"), the
# session has to step back, or a process yields to its own children alone.
AUTOGROUP = Path("/proc/self/autogroup")


def step_back() -> None:
    """Let the processes that somebody waits for have a processor first; at most once a process.

    Changes nothing while there are processors for all. Between containers and units of systemd
    their shares decide instead (docker-compose.yml, deploy/).
    """
    os.nice(NICENESS)
    if _leads_session():
        with suppress(OSError):
            AUTOGROUP.write_text(str(NICENESS))


def _leads_session() -> bool:
    """Say whether the session is our own, and not that of a person's shell."""
    return os.getsid(0) == os.getpid()
