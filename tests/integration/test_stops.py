"""Signals to stop in a stream, as from a terminal, its supervisor and a person at once."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import psutil
import pytest

from shared.stopping import STOPS
from tests.conftest import NOTIFICATION_SECRET, SIGNING_SECRET
from tests.servers import PATIENCE_SECONDS, Process, free_port, process, wait_until

# Much shorter than any last step of a process.
PAUSE_SECONDS = 0.001


def _stream(running: Process) -> None:
    """Send signals to a process and its children until it has ended."""
    children = psutil.Process(running.pid).children(recursive=True)
    numbers, until = cycle(STOPS[:3]), time.monotonic() + PATIENCE_SECONDS
    while running.poll() is None and time.monotonic() < until:
        number = next(numbers)
        for pid in (running.pid, *(child.pid for child in children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(PAUSE_SECONDS)


@pytest.mark.parametrize(
    ("module", "started", "stopped"),
    [
        ("api", "Listening at", "api_process_stopped"),
        ("worker", " ready.", "worker_stopped"),
        ("worker.upkeep", "upkeep_started", "upkeep_stopped"),
    ],
)
def test_however_many_signals_come_a_process_ends_as_at_the_first(
    valkey_url: str, tmp_path: Path, module: str, started: str, stopped: str
) -> None:
    log = tmp_path / "log"
    environment = {
        "REDIS_URL": valkey_url,
        "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
        "STRIPE_WEBHOOK_SECRET": SIGNING_SECRET,
        "EVENT_SERVICE_URL": "http://127.0.0.1:9",
        "EVENT_SERVICE_SECRET": NOTIFICATION_SECRET,
        "PORT": str(free_port()),
        "LOG_FORMAT": "json",
        "BILLING_ENV_FILE": "",
    }
    command = [sys.executable, "-m", module]
    with process(*command, environment=environment, log=log) as running:
        wait_until(lambda: started in log.read_text(), f"{module} has started")
        _stream(running)
        assert running.wait(0) == 0
    assert stopped in log.read_text()
    assert all(json.loads(line) for line in log.read_text().splitlines())
