"""A slow event service holds up its own notifications and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from chaos.stage import Crew, Stage, wait_until
from shared.keys import Keys
from shared.work.kinds import NOTIFICATIONS
from tests.servers import PATIENCE_SECONDS

THREADS = 4
# Longer than everything else here takes together.
SLOW_SECONDS = 9.0


@pytest.fixture
def stage() -> Iterator[Stage]:
    # As in the Procfile and the compose file: a process of its own serves the notifications.
    crew = Crew(workers=1, notifiers=1, upkeeps=1)
    patient = {"EVENT_SERVICE_TIMEOUT_SECONDS": "10", "WORKER_CONCURRENCY": str(THREADS)}
    with Stage(crew=crew, **patient) as stage:
        yield stage


def pay(stage: Stage) -> str:
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    answer = requests.post(f"{stage.api}/api/payment/process", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["payment_intent_id"])


def told(stage: Stage) -> int:
    return len(requests.get(f"{stage.receiver}/notifications", timeout=10).json()["data"])


def being_delivered(stage: Stage) -> int:
    ids = stage.redis.zrange(Keys().due(NOTIFICATIONS), 0, -1)
    states = [stage.redis.hget(Keys().item(NOTIFICATIONS, item), "state") for item in ids]
    return states.count("processing")


@pytest.mark.slow
def test_a_refund_is_done_while_every_delivery_hangs(stage: Stage) -> None:
    slow = {"status": 200, "delay_seconds": SLOW_SECONDS}
    requests.post(f"{stage.receiver}/_control/faults", json=slow, timeout=5).raise_for_status()
    payments = [pay(stage) for _ in range(THREADS * 3)]
    wait_until(lambda: being_delivered(stage) >= THREADS, "every thread delivers", PATIENCE_SECONDS)
    answer = requests.post(
        f"{stage.api}/api/refund/process",
        json={"payment_intent_id": payments[0], "amount": 100},
        headers={"Prefer": f"wait={int(SLOW_SECONDS)}"},
        timeout=30,
    )
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert told(stage) == 0, "the event service took something first: this proves nothing"
