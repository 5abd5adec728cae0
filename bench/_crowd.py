"""A slow Stripe, and customers who pay there repeatedly, in a process of their own.

So their hundreds of threads do not delay the threads of the benchmark that measure times.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from slow.probe import pay
from slow.relay import Relay
from slow.troubles import MARKS, SLOW, crowd


class Crowd:
    """The other process: relays to the sandbox from the start, and pays after `pay`."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running

    def pay(self, url: str, payers: int, over_seconds: float) -> None:
        """Start `payers` payments at a time, spread over a time at first; return when all began."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{url} {payers} {over_seconds}\n")
        self._running.stdin.flush()
        self._running.stdout.readline()


@contextmanager
def slow_stripe(port: int, sandbox_port: int) -> Iterator[Crowd]:
    """Relay a port to the sandbox's until the block ends."""
    command = [sys.executable, "-m", "bench._crowd", str(port), str(sandbox_port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        try:
            yield Crowd(running)
        finally:
            running.terminate()


def main() -> None:
    """Relay; pay when a line on standard input names the URL and the number of payers."""
    port, sandbox_port = (int(argument) for argument in sys.argv[1:])
    with Relay(port, sandbox_port, MARKS):
        print("relaying", flush=True)
        url, payers, seconds = sys.stdin.readline().split()
        with crowd(int(payers), lambda: pay(url, SLOW), over_seconds=float(seconds)):
            print("paying", flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
