"""A slow event service delays its own notifications and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chaos.stage import Crew, Stage, wait_until
from shared.keys import Keys
from shared.work.kinds import EVENTS, NOTIFICATIONS, Kind
from tests.servers import PATIENCE_SECONDS

THREADS = 4
# Seconds: longer than everything else in these tests together.
SLOW_SECONDS = 9.0
VERY_SLOW_SECONDS = 15.0


@pytest.fixture
def stage() -> Iterator[Stage]:
    # As in the Procfile and the compose file, a separate process serves the notifications.
    crew = Crew(workers=1, notifiers=1, upkeeps=1)
    patient = {
        "EVENT_SERVICE_TIMEOUT_SECONDS": "10",
        "STRIPE_TIMEOUT_SECONDS": "20",
        "WORKER_CONCURRENCY": str(THREADS),
    }
    with Stage(crew=crew, **patient) as stage:
        yield stage


def pay(stage: Stage) -> str:
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    answer = requests.post(f"{stage.api}/api/payment/process", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["payment_intent_id"])


def notifications(stage: Stage) -> list[dict[str, Any]]:
    """List the accepted notifications, as they were sent."""
    answer = requests.get(f"{stage.receiver}/notifications", timeout=10)
    return [one["body"] for one in answer.json()["data"]]


def settled(stage: Stage) -> int:
    return sum(one["type"] == "payment.settled" for one in notifications(stage))


def payments_in(stage: Stage) -> set[str]:
    successes = [one for one in notifications(stage) if one["type"] == "payment.succeeded"]
    return {one["data"]["payment_intent_id"] for one in successes}


def in_hand(stage: Stage, kind: Kind) -> list[str]:
    """List the types of the open items of a kind that a worker holds."""
    items = (
        stage.redis.hmget(Keys().item(kind, item), "state", "type")
        for item in stage.redis.zrange(Keys().due(kind), 0, -1)
    )
    return [type_ for state, type_ in items if state == "processing"]


def being_delivered(stage: Stage) -> int:
    return len(in_hand(stage, NOTIFICATIONS))


def looking_up(stage: Stage) -> int:
    return in_hand(stage, EVENTS).count("charge.updated")


@pytest.mark.long
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
    assert not notifications(stage), "the event service took something first: this proves nothing"


@pytest.mark.long
@pytest.mark.slow
def test_payments_are_told_while_look_ups_wait_for_a_slow_stripe(stage: Stage) -> None:
    slow = {
        "match": {"method": "GET", "path_prefix": "/v1/balance_transactions"},
        "phase": "after",
        "kind": "delay",
        "delay_seconds": VERY_SLOW_SECONDS,
        "times": None,
    }
    requests.post(f"{stage.sandbox}/_sandbox/faults", json=slow, timeout=5).raise_for_status()
    for _ in range(THREADS * 4):
        pay(stage)
    wait_until(lambda: looking_up(stage) >= THREADS * 3 // 4, "look-ups wait", PATIENCE_SECONDS)
    late = pay(stage)
    wait_until(lambda: late in payments_in(stage), "a late payment is told", PATIENCE_SECONDS)
    assert settled(stage) == 0, "only when Stripe had answered a look-up"
