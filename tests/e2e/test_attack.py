"""A running service is attacked from outside, and no attack succeeds."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.attacks import API_KEY, GROUPS, Target, all_tries
from tests.e2e.running import Service

LEAST_TRIES = 100


@pytest.fixture(scope="module")
def running(guarded_service: Service) -> Service:
    return guarded_service


def books(running: Service) -> Any:
    return requests.get(f"{running.url('SANDBOX_PORT')}/_sandbox/books", timeout=10).json()


def news(running: Service) -> list[Any]:
    """List what the event service was told, but for fees: those of an earlier payment come late."""
    return [one for one in running.notifications() if one["type"] != "payment.settled"]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_nothing_comes_of(running: Service, group: Any) -> None:
    clock = f"{running.url('SANDBOX_PORT')}/_sandbox/clock"
    before, notifications = books(running), news(running)
    target = Target(running.ports)
    came_through = [verdict for attempt in group() if (verdict := target.verdict(attempt))]
    assert not came_through, "\n".join(came_through)
    assert books(running)["payment_intents"] == before["payment_intents"]
    assert books(running)["webhook_endpoints"] == before["webhook_endpoints"]
    assert requests.get(clock, timeout=10).json()["offset_seconds"] == 0
    assert news(running) == notifications
    assert requests.get(f"{running.url()}/health", timeout=10).status_code == 200


def test_the_script_tries_enough_and_would_notice(running: Service) -> None:
    assert len(all_tries()) >= LEAST_TRIES
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    key = {"Authorization": f"Bearer {API_KEY}"}
    url = f"{running.url()}/api/payment/process"
    paid_for = requests.post(url, json=body, headers=key, timeout=20)
    assert paid_for.status_code == 200
    running.notifications_of(paid_for.json()["payment_intent_id"], "payment.succeeded")


def test_no_other_user_can_read_what_a_run_keeps(running: Service) -> None:
    data = running.log.parent / "data"
    open_ones = [
        str(path)
        for path in [data, *data.rglob("*")]
        if not path.is_symlink() and path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    inside_closed = [name for name in open_ones if not _is_closed_above(Path(name), data)]
    assert not inside_closed


def _is_closed_above(path: Path, data: Path) -> bool:
    """Say whether a parent folder keeps other users out, whatever the mode of the file."""
    above = [parent for parent in path.parents if parent == data or data in parent.parents]
    return any(not parent.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) for parent in above)
