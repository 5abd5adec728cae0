"""Runs the processes together: all live, or all stop, and the one that died is named."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import honcho.manager
from honcho.environ import parse_procfile
from honcho.printer import Printer
from honcho.process import Popen, Process

from local.lifeline import die_with_parent, vanish_with_parent

# Seconds between SIGTERM and SIGKILL. Every task is bounded to about 15 s, so a worker that needs
# longer to hand its work back is stuck; what it held comes back by its lease.
STOP_GRACE_SECONDS = 30
LAST_LINES = 20  # kept of each process, shown if it dies: a traceback's useful end
SYSTEM_FAILURE = 1  # exit status when a process died by itself, even one that exited with 0


@dataclass(frozen=True)
class Death:
    """A process that ended though nobody asked it to."""

    name: str
    status: int
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        """Tell a person which process died, how, and what it said last."""
        if self.status < 0:
            how = f"was killed by {signal.Signals(-self.status).name}"
        else:
            how = f"ended by itself with exit status {self.status}"
        said = "\n".join(f"    {line}" for line in self.last_lines) or "    (nothing)"
        return f"{self.name} {how}. Its last lines:\n{said}"


def read_procfile(path: Path) -> dict[str, str]:
    """Give the processes of a Procfile: name to shell command, in order."""
    return dict(parse_procfile(path.read_text()).processes)


class Supervisor(honcho.manager.Manager):  # type: ignore[misc]  # honcho has no types
    """Honcho's manager, with three promises more.

    It knows which process died first and what it said; it gives 30 s to stop instead of 5; and its
    processes do not outlive it even when it is SIGKILLed (Linux).
    """

    def __init__(self, environment: dict[str, str], output: TextIO = sys.stdout) -> None:
        super().__init__(printer=_RememberingPrinter(output))
        self._process_ctor = _TiedProcess
        self._environment = environment
        self._background: list[Callable[[], None]] = []
        self._outside_death: Death | None = None
        self._stop_wanted = False
        self.death: Death | None = None
        honcho.manager.KILL_WAIT = STOP_GRACE_SECONDS

    def add(self, name: str, command: str) -> None:
        """Add a process; it starts with `run`."""
        # exec: the shell becomes the process, so a signal and an exit status are the process's own.
        self.add_process(name, f"exec {command}", env=self._environment)

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread once the processes are started."""
        # Not sooner: honcho forks, and a fork with threads running may inherit a held lock.
        self._background.append(work)

    def run(self) -> int:
        """Run everything until it is told to stop or something dies; give the exit status."""
        try:
            self.loop()
        finally:
            self._abandon()
        return SYSTEM_FAILURE if self.death else 0

    def report_death(self, name: str, status: int, last_lines: list[str]) -> None:
        """Stop everything because a process outside honcho's care died."""
        if not self._terminating:
            self._outside_death = Death(name, status, tuple(last_lines))
            self.terminate()

    def terminate(self) -> None:
        """Ask every process to stop; called at a signal and at the first death."""
        if not super()._all_started():
            # honcho cannot stop what it has not yet seen start (it fails on the missing pid).
            self._stop_wanted = True
            return
        if not self._terminating:
            self.death = self._outside_death or self._first_death()
        super().terminate()

    def _all_started(self) -> bool:
        started = bool(super()._all_started())
        if started and self._stop_wanted:
            self._stop_wanted = False
            self.terminate()
        return started

    def _abandon(self) -> None:
        """Leave nothing behind, also when honcho itself failed; after a usual end a no-op."""
        for process in self._processes.values():
            runner = process.get("process")
            if runner is not None and runner.is_alive():
                runner.kill()  # its child is tied to it and gets SIGTERM

    def _first_death(self) -> Death | None:
        for name, process in self._processes.items():
            if "returncode" in process:
                return Death(name, process["returncode"], self._printer.last_lines(name))
        return None

    def _start(self) -> None:
        super()._start()
        for work in self._background:
            threading.Thread(target=work, daemon=True).start()


class _TiedProcess(Process):  # type: ignore[misc]  # honcho has no types
    """Honcho's process, whose runner and child both go when the supervisor goes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._child_ctor = _popen_tied

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        vanish_with_parent()
        super().run(events, ignore_signals)


def _popen_tied(command: str, **options: Any) -> Any:
    return Popen(command, preexec_fn=die_with_parent, **options)


class _RememberingPrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """Prints as honcho does and keeps each process's last lines; survives a closed terminal."""

    def __init__(self, output: TextIO) -> None:
        super().__init__(output)
        self._kept: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=LAST_LINES))

    def write(self, message: Any) -> None:
        """Print a message's lines and remember them."""
        text = message.data
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        self._kept[message.name].extend(_plain(line) for line in text.splitlines())
        try:
            super().write(message)
        except OSError:
            # The terminal or the pipe is gone. The processes still have to be stopped in order.
            self.output = _Nowhere()
        except RuntimeError:
            # "reentrant call": honcho says in its signal handler that it was told to stop, and the
            # signal came while a line was being written. The stop matters, its line does not.
            return

    def last_lines(self, name: str) -> tuple[str, ...]:
        """Give what a process said last."""
        return tuple(self._kept[name])


class _Nowhere:
    def write(self, _text: str) -> int:
        return 0

    def flush(self) -> None:
        return


def _plain(line: str) -> str:
    """Strip a line of its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line)
