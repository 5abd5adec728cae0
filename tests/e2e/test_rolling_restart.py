"""A release under load: API processes and workers are replaced, and no request fails."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.parts import Parts, billing
from tests.e2e.shopping import Shopping
from tests.servers import PATIENCE_SECONDS, wait_until


def replace_worker(parts: Parts, name: str) -> None:
    """Stop a worker as a release does, and start a new one."""
    parts.processes[name].terminate()
    assert parts.processes[name].wait(PATIENCE_SECONDS) == 0
    start_worker(parts, f"{name}-new")


def start_worker(parts: Parts, name: str) -> None:
    """Start a worker and wait until it consumes."""
    parts.start(name, "worker")
    wait_until(lambda: "ready." in (parts.folder / f"{name}.log").read_text(), f"{name} is ready")


@pytest.mark.slow
@pytest.mark.nightly
def test_a_rolling_restart_fails_no_request_and_loses_nothing(
    valkey_url: str, tmp_path: Path
) -> None:
    with billing(tmp_path, valkey_url) as parts:
        start_worker(parts, "worker-2")
        api_log = tmp_path / "api.log"
        with Shopping(parts.url) as shopping:
            shopping.go_on()
            parts.processes["api"].send_signal(signal.SIGHUP)
            replace_worker(parts, "worker")
            replace_worker(parts, "worker-2")
            wait_until(
                lambda: api_log.read_text().count("api_process_stopped") == 2, "the API is new"
            )
            shopping.go_on()
        assert set(shopping.answers) == {200}, shopping.answers
        wait_until(
            lambda: set(shopping.payment_ids) <= set(parts.notifications_of("payment.succeeded")),
            "every payment is told",
        )
        assert Counter(parts.notifications_of("payment.succeeded")) == Counter(shopping.payment_ids)
