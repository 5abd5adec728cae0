"""A Python that has imported the packages of app.py, and forks a process for each run of it.

A new Python spends half a second on these imports, which tests of the supervisor would repeat fifty
times. The fork is a process like any other: with its own session, folder, arguments, environment
and output, and with the service's own modules imported from that folder.

This file imports none of the service's modules, because the forks import others of the same names.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

# What `app.py --sandbox` imports besides its own modules.
PACKAGES = ("argparse", "ctypes", "dotenv", "pydantic_settings", "queue", "shlex", "tempfile")
REQUEST_BYTES = 1_000_000


class Forked:
    """A process that was forked from the warm Python, with the methods of `subprocess.Popen`."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status  # a pipe, to which the status is written

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and return its exit status."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(os.read(self._status, 100))
            os.close(self._status)
        return self.returncode


class WarmPython:
    """Starts `python FILE ARGUMENT…` as forks."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def start(
        self, folder: Path, *arguments: str, environment: Mapping[str, str], out: int
    ) -> Forked:
        """Run a file of the folder there, in a session of its own, with `out` for all output."""
        request = {"folder": str(folder), "arguments": arguments, "environment": dict(environment)}
        reading, writing = os.pipe()
        socket.send_fds(self._channel, [json.dumps(request).encode()], [out, writing])
        os.close(writing)
        return Forked(json.loads(self._channel.recv(REQUEST_BYTES)), reading)


@contextmanager
def warm_python() -> Iterator[WarmPython]:
    """Run the Python from which others are forked, for the duration of the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno())]
    python = subprocess.Popen(command, env={}, pass_fds=[theirs.fileno()], start_new_session=True)
    theirs.close()
    with ours:
        yield WarmPython(ours)
    python.wait()


def obey_a_terminal() -> None:
    """Stop ignoring a terminal's signals, which tests in the background or under nohup inherit."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _serve(channel: socket.socket) -> NoReturn:
    """Fork a process for each request; between the two, one that waits for it."""
    for module in PACKAGES:
        __import__(module)
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 2)
        if not request:
            sys.exit()
        waiting = os.fork()
        if not waiting:
            _run(channel, json.loads(request), *files)
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # those that waited for an earlier one


def _run(channel: socket.socket, request: dict[str, Any], out: int, status: int) -> None:
    """Fork the process, and tell its number and its exit status; return in the process alone."""
    child = os.fork()
    if child:
        channel.send(json.dumps(child).encode())
        channel.close()
        os.close(out)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(status, str(ended).encode())
        os._exit(0)
    channel.close()
    os.close(status)
    _become(request, out)


def _become(request: dict[str, Any], out: int) -> NoReturn:
    """Become `python FILE ARGUMENT…` in the folder, and exit."""
    os.setsid()
    os.chdir(request["folder"])
    obey_a_terminal()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as Python does at its start
    null = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((null, out, out)):
        os.dup2(file, number)
    os.close(null)
    os.close(out)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115  # the files of this process
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["arguments"]
    sys.path[0] = request["folder"]
    runpy.run_path(str(Path(sys.argv[0]).resolve()), run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
