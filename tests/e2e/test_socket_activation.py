"""One API on a socket that systemd holds: a restart under traffic refuses no connection."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.parts import Parts, billing
from tests.e2e.shopping import Shopping
from tests.servers import PATIENCE_SECONDS, ROOT, wait_until


@contextmanager
def api_on(listening: socket.socket, parts: Parts, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the API with the socket as file 3, as systemd does (sd_listen_fds(3))."""
    number = listening.fileno()
    line = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -m api 3<&{number}'
    with (parts.folder / f"{name}.log").open("wb") as log:
        running = subprocess.Popen(
            ["bash", "-c", line, sys.executable],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | parts.environment,
            pass_fds=[number],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield running
        finally:
            running.terminate()
            running.wait(PATIENCE_SECONDS)


def processes_of(parts: Parts, name: str) -> int:
    """Count the times a process of the API was replaced or stopped."""
    return (parts.folder / f"{name}.log").read_text().count("api_process_stopped")


@pytest.mark.long
def test_a_restart_of_the_only_api_refuses_no_connection(valkey_url: str, tmp_path: Path) -> None:
    with billing(tmp_path, valkey_url) as parts:
        parts.processes["api"].terminate()
        assert parts.processes["api"].wait(PATIENCE_SECONDS) == 0
        address = ("127.0.0.1", urlsplit(parts.url).port)
        with ExitStack() as stack:
            listening = stack.enter_context(socket.create_server(address))
            first = stack.enter_context(api_on(listening, parts, "first"))
            with Shopping(parts.url) as shopping:
                shopping.go_on()
                first.send_signal(signal.SIGHUP)
                wait_until(lambda: processes_of(parts, "first") == 2, "the processes are replaced")
                shopping.go_on()
                first.terminate()
                assert first.wait(PATIENCE_SECONDS) == 0
                stack.enter_context(api_on(listening, parts, "second"))
                shopping.go_on()
        assert set(shopping.answers) == {200}, shopping.answers
