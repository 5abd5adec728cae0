"""Stand-ins for the service's processes, which can die, hang or stop slowly.

They run in a copy of the supervisor with its own Procfile.
"""

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.servers import PATIENCE_SECONDS, free_ports
from tests.warm import Forked, WarmPython, obey_a_terminal

PORTS = ("PORT", "FLOWER_PORT", "SANDBOX_PORT", "RECEIVER_PORT")
STAND_IN = """
import os, signal, socket, sys, threading, time

name, variable = sys.argv[1], (sys.argv[2:] or [None])[0]

def say(text):  # a whole line at once: a print may be what a signal came into
    os.write(1, f"{name} {text}\\n".encode())

def push(key, value):  # without a client, whose import would cost more than all the rest
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ["REDIS_URL"].partition("://")[2].partition("?")[0])
        line.sendall(f'RPUSH "{key}" "{value}"\\r\\n'.encode())
        assert line.recv(100).startswith(b":")

def stop(*_):
    time.sleep(float(os.environ.get("STOP_DELAY", "0")))
    if name == "worker":
        push("handed back", "work")
    say("stops")
    os._exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("STUCK") == name else stop)
signal.signal(signal.SIGINT, lambda *_: say("was interrupted"))
push("started", name)
say(f"is up, Stripe is {os.environ.get('STRIPE_API_BASE')}")

def serve(port):
    with socket.create_server(("127.0.0.1", port)) as door:
        while True:
            with door.accept()[0] as line:
                line.recv(10_000)
                line.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

if variable:
    threading.Thread(target=serve, args=(int(os.environ[variable]),), daemon=True).start()
while not os.path.exists(f"die-{name}"):
    time.sleep(0.02)
say("says its last words")
sys.exit(int(open(f"die-{name}").read()))
"""


class Run:
    """One run of app.py with stand-ins; collects what it prints.

    With `python` it is a fork of that one, and otherwise a Python of its own.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        *arguments: str,
        python: WarmPython | None = None,
    ) -> None:
        arguments = arguments or ("app.py", "--sandbox")
        reading, writing = os.pipe()
        self.process: Forked | subprocess.Popen[bytes]
        if python:
            self.process = python.start(
                *arguments, environment=environment, out=writing, folder=folder, own_session=True
            )
        else:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=environment,
                stdout=writing,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a shell also gives each job its own process group
                preexec_fn=obey_a_terminal,  # noqa: PLW1509 - one thread
            )
        os.close(writing)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(reading,))
        self._reader.start()

    def _read(self, reading: int) -> None:
        with open(reading) as stream:
            self._lines.extend(iter(stream.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str) -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while text not in self.output:
            assert time.monotonic() < give_up_at, f"never said {text!r}:\n{self.output}"
            assert self.process.poll() is None or text in self.output, self.output
            time.sleep(0.02)

    def ready(self) -> "Run":
        self.wait_for("The billing service is ready.")
        self.wait_for("Ctrl-C stops everything")
        # Of those without a port the supervisor does not know when they are up.
        for name in re.findall(r"(\w+) started \(pid=", self.output):
            self.wait_for(f"{name} is up")
        return self

    def pid_of(self, name: str) -> int:
        match = re.search(rf"{name} started \(pid=(\d+)\)", self.output)
        assert match, self.output
        return int(match[1])

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        if self.process.poll() is None:
            family = self.family()
            self.process.kill()
            for child in family:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        self.ended()

    def ended(self) -> int:
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status


def different_ports() -> dict[str, str]:
    return dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
