"""Run the processes together: when one dies, stop all others and name it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TextIO

from local.lifeline import die_with_parent
from local.output import Output

# Seconds between SIGTERM and SIGKILL. Most attempts end within 15 s; cutting an attempt off does no
# harm, because another worker claims its item when the lease has ended.
STOP_GRACE_SECONDS = 30
# Seconds in which the rest of a pipe is read; a grandchild may keep the pipe open for ever.
LAST_WORDS_SECONDS = 0.5
LAST_LINES = 20  # kept of each process and shown if it dies: the end of a traceback
SYSTEM_FAILURE = 1  # exit status when a process ended by itself, even with 0
PROCFILE_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$", re.MULTILINE)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Death:
    """A process that ended without a request."""

    name: str
    status: int
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        """Describe which process ended, how, and its last lines."""
        if self.status < 0:
            how = f"was killed by {signal.Signals(-self.status).name}"
        else:
            how = f"ended by itself with exit status {self.status}"
        lines = "\n".join(f"    {line}" for line in self.last_lines) or "    (nothing)"
        return f"{self.name} {how}. Its last lines:\n{lines}"


@dataclass(frozen=True)
class _Line:
    name: str
    text: str


@dataclass(frozen=True)
class _End:
    name: str
    status: int
    last_lines: tuple[str, ...]


@dataclass(frozen=True)
class _StopRequest:
    signal_name: str


class _Child:
    """One process, the leader of its own process group."""

    def __init__(self, name: str, command: str, environment: Mapping[str, str]) -> None:
        """Start it; call this from the main thread, because it ends together with that thread."""
        self.name = name
        self._newest: deque[str] = deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S602  # the Procfile is a list of shell commands
            # exec: the process replaces the shell, so it gets the signals and gives the status.
            f"exec {command}",
            shell=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C reaches the foreground group, but only the supervisor may stop a process.
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  # threads start when every child runs
        )

    @property
    def pid(self) -> int:
        """Return the pid, which is also that of its group."""
        return self._process.pid

    def watch(self, events: SimpleQueue[_Line | _End | _StopRequest]) -> None:
        """Report each line and then the end; return when the process has ended."""
        reader = threading.Thread(target=self._read, args=(events,), daemon=True)
        reader.start()
        status = self._process.wait()
        reader.join(LAST_WORDS_SECONDS)
        events.put(_End(self.name, status, tuple(self._newest)))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if any process of it still runs."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _read(self, events: SimpleQueue[_Line | _End | _StopRequest]) -> None:
        assert self._process.stdout is not None  # noqa: S101  # a pipe, as opened above
        for line in self._process.stdout:
            text = line.rstrip("\r\n")
            self._newest.append(COLOURS.sub("", text))
            events.put(_Line(self.name, text))


def read_procfile(path: Path) -> dict[str, str]:
    """Return the processes of a Procfile: name to shell command, in order."""
    return dict(PROCFILE_LINE.findall(path.read_text("utf-8")))


class Supervisor:
    """A loop over one queue: output lines, ends of processes, requests to stop.

    All processes run until SIGTERM, SIGINT or the first end of one. Then all get SIGTERM, and
    SIGKILL 30 s later, or `more_seconds` after that when requests may take longer than by default.
    No process outlives the supervisor, even when it is killed (Linux).
    """

    def __init__(self, output: TextIO = sys.stdout, more_seconds: float = 0.0) -> None:
        self._more_seconds = more_seconds
        self.death: Death | None = None
        self._output = Output(output)
        self._events: SimpleQueue[_Line | _End | _StopRequest] = SimpleQueue()
        self._commands: list[tuple[str, str, Mapping[str, str]]] = []
        self._background: list[Callable[[], None]] = []
        self._running: dict[str, _Child] = {}
        self._kill_at: float | None = None

    def add(self, name: str, command: str, environment: Mapping[str, str]) -> None:
        """Add a process with exactly this environment; it starts with `run`."""
        self._commands.append((name, command, environment))
        self._output.make_room_for(name)

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread once the processes are started."""
        # Not earlier: a fork while threads run may inherit a locked lock.
        self._background.append(work)

    def run(self) -> int:
        """Run everything until a stop or the first death; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # The handler only adds it to the queue, so that no signal interrupts a step.
            signal.signal(
                number, lambda got, _: self._events.put(_StopRequest(signal.Signals(got).name))
            )
        try:
            self._start()
            while self._running:
                self._handle_next()
        finally:
            for child in self._running.values():
                child.send(signal.SIGKILL)
        return SYSTEM_FAILURE if self.death else 0

    def report_death(self, name: str, status: int, last_lines: list[str]) -> None:
        """Stop all processes, because one that the supervisor did not start has died."""
        self._events.put(_End(name, status, tuple(last_lines)))

    def _start(self) -> None:
        for name, command, environment in self._commands:
            child = self._running[name] = _Child(name, command, environment)
            self._output.system(f"{name} started (pid={child.pid})")
        watches = [
            lambda child=child: child.watch(self._events) for child in self._running.values()
        ]
        for work in (*watches, *self._background):
            threading.Thread(target=work, daemon=True).start()

    def _handle_next(self) -> None:
        patience = None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())
        try:
            event = self._events.get(timeout=patience)
        except Empty:
            self._kill()
            return
        if isinstance(event, _Line):
            self._output.line(event.name, event.text)
        elif isinstance(event, _End):
            self._note_end(event)
        else:
            self._output.system(f"{event.signal_name} received")
            self._stop()

    def _note_end(self, end: _End) -> None:
        child = self._running.pop(end.name, None)
        if child is not None:
            self._output.system(f"{end.name} stopped (rc={end.status})")
            child.send(signal.SIGKILL)  # processes that it started and left behind
        if self._kill_at is None:
            self.death = Death(end.name, end.status, end.last_lines)
            self._stop()

    def _stop(self) -> None:
        if self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + STOP_GRACE_SECONDS + self._more_seconds
        self._send_to_all(signal.SIGTERM)

    def _kill(self) -> None:
        self._kill_at = time.monotonic() + STOP_GRACE_SECONDS  # and again, if any is left
        self._send_to_all(signal.SIGKILL)

    def _send_to_all(self, number: signal.Signals) -> None:
        for child in self._running.values():
            self._output.system(f"sending {number.name} to {child.name} (pid {child.pid})")
            child.send(number)
