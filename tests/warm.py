"""Run the command line as real processes, forked from one that has already imported it.

A new process spends half a second on imports. A fork is a process like any other, with its own
arguments, environment and files. `tests/e2e` starts the command line without this.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO

from tests.servers import ROOT

# Modules that commands import when they need them.
IMPORTED = ("cli.commands", "doctor.examination", "doctor.registration")
REQUEST_BYTES = 1_000_000


class WarmCommands:
    """Starts `python -m cli` repeatedly, one process at a time."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def run(
        self, *arguments: str, environment: Mapping[str, str], text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as `subprocess.run` does, with a text for its input."""
        request = json.dumps({"arguments": arguments, "environment": dict(environment)})
        with ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            files[0].write(text.encode())
            files[0].seek(0)
            socket.send_fds(self._channel, [request.encode()], [file.fileno() for file in files])
            status = json.loads(self._channel.recv(REQUEST_BYTES))
            out, err = (_content(file) for file in files[1:])
        return subprocess.CompletedProcess(["billing", *arguments], status, out, err)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@contextmanager
def warm_commands() -> Iterator[WarmCommands]:
    """Run the process from which commands are forked, for the duration of the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.warm", str(theirs.fileno())]
    environment = {"PATH": os.environ["PATH"]}
    with (
        ours,
        subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[theirs.fileno()]) as process,
    ):
        theirs.close()
        yield WarmCommands(ours)
        ours.close()
        process.wait()


def _serve(channel: socket.socket) -> None:
    for module in IMPORTED:
        __import__(module)
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 3)
        if not request:
            return
        child = os.fork()
        if not child:
            channel.close()
            _become(json.loads(request), files)
        for file in files:
            os.close(file)
        _, status = os.waitpid(child, 0)
        channel.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, object], files: list[int]) -> None:
    """Become the command, and exit."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115  # the files of this process
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]  # as sent above
    sys.argv = ["billing", *request["arguments"]]  # type: ignore[misc]  # as sent above
    runpy.run_module("cli", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
