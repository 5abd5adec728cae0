"""The processor time of each process of a stage, and the time that it waits for one (Linux)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from chaos.stage import Stage

NANOSECONDS = 1_000_000_000
BACKGROUND = ("worker", "notifier", "upkeep")
CLIENT = "client"


@dataclass(frozen=True)
class Use:
    """Seconds on a CPU, and seconds of waiting for one."""

    ran: float = 0.0
    waited: float = 0.0

    def __add__(self, other: Use) -> Use:
        """Add two."""
        return Use(self.ran + other.ran, self.waited + other.waited)

    def __sub__(self, other: Use) -> Use:
        """Return the difference to an earlier reading."""
        return Use(self.ran - other.ran, self.waited - other.waited)


def uses(stage: Stage) -> dict[str, Use]:
    """Read the use of each role of the stage, and of this process, so far.

    The wait of a thread is lost when it ends; the important threads live as long as their process.
    """
    by_role: dict[str, Use] = defaultdict(Use)
    for role, pid in _processes(stage):
        with suppress(psutil.NoSuchProcess):
            ran = psutil.Process(pid).cpu_times()
            by_role[role] += Use(ran=ran.user + ran.system)
        for task in _tasks(pid):
            with suppress(OSError):
                waited = (task / "schedstat").read_text().split()[1]
                by_role[role] += Use(waited=int(waited) / NANOSECONDS)
    return dict(by_role)


def keep_apart(stage: Stage) -> None:
    """Assign workers, notifiers and upkeep one half of the CPUs, and all others the other half.

    It is like containers whose workers have processors of their own.
    """
    cores = sorted(os.sched_getaffinity(0))
    others, background = set(cores[: len(cores) // 2]), set(cores[len(cores) // 2 :])
    for role, pid in _processes(stage):
        for task in _tasks(pid):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), background if role in BACKGROUND else others)


def _processes(stage: Stage) -> Iterator[tuple[str, int]]:
    """Return role and pid of each process, with children."""
    yield CLIENT, os.getpid()
    for service in stage.services.values():
        if service.alive:
            yield from ((service.role, pid) for pid in _family(service.pid))


def _family(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return []


def _tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").glob("[0-9]*"))
