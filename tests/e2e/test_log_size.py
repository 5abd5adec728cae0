"""Log lines: one for each request and attempt, and a limited size for each payment."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import service
from tests.servers import wait_until

Json = dict[str, Any]
PAYMENTS = 20
# Bytes: the figure of docs/going-live.md and some more; it was 7 kB once.
MOST_BYTES = 3_300
OURS = re.compile(r"^\S+ (?:api|worker|notifier|upkeep) +\| (\{.*\})$", re.MULTILINE)
OURS_ALONE = re.compile(r"\{.*\}")
METADATA = {"event_id": "123", "user_id": "456"}


def lines_of(text: str) -> list[tuple[Json, int]]:
    """Return the lines of the service's processes, each with its length in bytes."""
    return [(json.loads(line), len(line.encode()) + 1) for line in OURS.findall(text)]


@pytest.mark.long
def test_a_payments_whole_life_has_one_line_for_each_step(tmp_path: Path) -> None:
    with service(tmp_path, LOG_FORMAT="json") as running:
        before = len(running.log.read_text())
        for _ in range(PAYMENTS):
            payment = running.pay("pm_card_visa", metadata=METADATA, customer_email="a@example.com")
            assert payment.status_code == 200
        settled = lambda: running.notifications(type="payment.settled")  # noqa: E731  # one use
        wait_until(lambda: len(settled()) == PAYMENTS, "the fees of all payments")
        text = running.log.read_text()[before:]
    lines = lines_of(text)
    # What a busy machine adds are attempts that found their turn not yet come, and upkeep's lines.
    steps = [
        (line, size)
        for line, size in lines
        if line["event"] == "request" or line.get("outcome") in ("processed", "delivered")
    ]
    assert Counter(line.get("outcome", "request") for line, _ in steps) == {
        "request": 5 * PAYMENTS,
        "processed": 4 * PAYMENTS,
        "delivered": 2 * PAYMENTS,
    }
    assert sum(size for _, size in steps) <= MOST_BYTES * PAYMENTS
    attempts = [line for line, _ in lines if line.get("kind") in ("events", "notifications")]
    assert len(attempts) <= 6.5 * PAYMENTS, "four events, two notifications, a few snoozes"
    assert len(lines) <= 12 * PAYMENTS


@pytest.mark.long
def test_every_line_of_a_process_of_ours_is_json_from_start_to_stop(tmp_path: Path) -> None:
    with service(tmp_path, LOG_FORMAT="json") as running:
        log = running.log
        assert running.pay("pm_card_visa").status_code == 200
        # By then the worker and the notifier have started: before, a stop writes no line.
        wait_until(lambda: running.notifications(type="payment.succeeded"), "the payment is told")
    lines = re.findall(
        r"^\S+ (api|worker|notifier|upkeep|flower) +\| (.*)$", log.read_text(), re.MULTILINE
    )
    assert [line for _, line in lines if not OURS_ALONE.fullmatch(line)] == []
    stopped = [name for name, line in lines if json.loads(line)["event"] == "worker_stopped"]
    assert sorted(stopped) == ["notifier", "worker"]
