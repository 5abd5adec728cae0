"""Pythons that have imported a program, and run it as forks.

A new Python spends half a second and more on imports, which the tests would repeat some hundred
times. A fork is a process like any other: with its own arguments, environment, folder and files.
In `tests/e2e` app.py starts the service without this.

This file imports none of the service's modules, because the forks may import others of the same
names.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
REQUEST_BYTES = 1_000_000
# Under the measurement of coverage, each process is a Python of its own, which measures itself.
IS_MEASURED = any(name.startswith("COVERAGE_PROCESS") for name in os.environ)


class Forked:
    """A process that was forked from a warm Python, with the methods of `subprocess.Popen`."""

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
    """Starts `python -m MODULE ARGUMENT…` or `python FILE ARGUMENT…` as forks."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        out: int,
        errors: int | None = None,
        source: int | None = None,
        folder: Path = ROOT,
        own_session: bool = False,
    ) -> Forked:
        """Run a module or file in the folder; errors go to `out`, unless they have a file."""
        request = {
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(folder),
            "own_session": own_session,
        }
        reading, writing = os.pipe()
        with Path(os.devnull).open() as null:
            files = [source or null.fileno(), out, errors or out, writing]
            socket.send_fds(self._channel, [json.dumps(request).encode()], files)
        os.close(writing)
        return Forked(json.loads(self._channel.recv(REQUEST_BYTES)), reading)

    def run(
        self, *arguments: str, environment: Mapping[str, str], text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a module to its end, as `subprocess.run` does, with a text for its input."""
        with ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            files[0].write(text.encode())
            files[0].seek(0)
            source, out, errors = (file.fileno() for file in files)
            status = self.start(
                *arguments, environment=environment, source=source, out=out, errors=errors
            ).wait()
            return subprocess.CompletedProcess(arguments, status, *map(_content, files[1:]))


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@contextmanager
def warm_python(*modules: str) -> Iterator[WarmPython]:
    """Run a Python that has imported these modules, for the duration of the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno()), *modules]
    python = subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        pass_fds=[theirs.fileno()],
        start_new_session=True,
    )
    theirs.close()
    with ours:
        yield WarmPython(ours)
    python.wait()


@cache
def python_of(module: str) -> WarmPython:
    """Return the Python that runs `python -m MODULE`, which lasts until this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(warm_python(module))


def obey_a_terminal() -> None:
    """Stop ignoring a terminal's signals, which tests in the background or under nohup inherit."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _serve(channel: socket.socket, modules: list[str]) -> NoReturn:
    """Fork a process for each request; between the two, one that waits for it."""
    sys.path[0] = str(ROOT)
    for module in modules:
        __import__(_main_of(module))
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 4)
        if not request:
            sys.exit()
        waiting = os.fork()
        if not waiting:
            _run(channel, json.loads(request), files)
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # those that waited for an earlier one


def _main_of(module: str) -> str:
    """Return the module that `python -m` runs: a package's `__main__`, or the module itself."""
    name = module.replace(".", "/")
    return f"{module}.__main__" if Path(name, "__main__.py").exists() else module


def _run(channel: socket.socket, request: dict[str, Any], files: list[int]) -> None:
    """Fork the process, and tell its number and its exit status; return in the process alone."""
    *standard, status = files
    child = os.fork()
    if child:
        channel.send(json.dumps(child).encode())
        channel.close()
        for file in standard:
            os.close(file)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(status, str(ended).encode())
        os._exit(0)
    channel.close()
    os.close(status)
    _become(request, standard)


def _become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Become `python ARGUMENT…` in the folder, and exit."""
    if request["own_session"]:
        os.setsid()
    os.chdir(request["folder"])
    obey_a_terminal()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as Python does at its start
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115  # the files of this process
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    tempfile.tempdir = None  # a module may have asked for it
    sys.path[0] = request["folder"]
    first, *rest = request["arguments"]
    if first == "-m":
        sys.argv = rest
        main = _main_of(rest[0])
        sys.modules.pop(main, None)
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(str(Path(first).resolve()), run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
