"""Stops, restarts and outages of single processes, each with a limit of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chaos.stage import Stage, wait_until
from shared.keys import Keys
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, Kind
from tests.servers import PATIENCE_SECONDS
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.long, pytest.mark.slow]
Json = dict[str, Any]
# Seconds that a restart of Redis may cost; about two were measured.
RECONNECT_SECONDS = 15.0


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    # Shared by all tests: each leaves every process running, and checks its own payments.
    # Without reconcile, which could hide a failure.
    # Few threads, so that work is left when the test needs it, also on a slow machine.
    with Stage(RECONCILE_INTERVAL_SECONDS="3600", WORKER_CONCURRENCY="4") as stage:
        yield stage


def pay(stage: Stage, number: int = 0) -> str:
    body = {"amount": 1000 + number, "currency": "sgd", "payment_method": "pm_card_visa"}
    answer = requests.post(f"{stage.api}/api/payment/process", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["payment_intent_id"])


def pay_at_stripe(stage: Stage) -> str:
    """Make a payment at Stripe directly: the service learns of it by the webhook only."""
    answer = requests.post(
        f"{stage.sandbox}/v1/payment_intents",
        {
            "amount": 1000,
            "currency": "sgd",
            "confirm": "true",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
        },
        headers={"Authorization": "Bearer sk_test_tests"},
        timeout=10,
    )
    return str(answer.json()["id"])


def notified_payments(stage: Stage) -> set[str]:
    """Return the payments whose notification was accepted."""
    listing = requests.get(f"{stage.receiver}/notifications", timeout=10).json()["data"]
    return {
        entry["body"]["data"]["payment_intent_id"]
        for entry in listing
        if entry["type"] == "payment.succeeded" and entry["answered"] in range(200, 300)
    }


def deliveries(stage: Stage) -> list[Json]:
    of_webhook: list[Json] = requests.get(f"{stage.sandbox}/_sandbox/books", timeout=10).json()[
        "deliveries"
    ]
    return of_webhook


def now_ms(stage: Stage) -> int:
    seconds, micros = stage.redis.time()
    return int(seconds * 1000 + micros // 1000)


def lapsed(stage: Stage, kind: Kind, since_ms: int) -> dict[str, str]:
    """Return the items recorded since then that had to wait for the end of a lease."""
    ids = stage.redis.zrange(Keys().index(kind), since_ms, "+inf", byscore=True)
    crashes = {item: stage.redis.hget(Keys().item(kind, item), "crashes") for item in ids}
    return {item: count for item, count in crashes.items() if count != "0"}


def test_a_worker_told_to_stop_finishes_or_hands_back_what_it_holds(stage: Stage) -> None:
    first, second = stage.roles("worker")
    second.stop()
    began_ms = now_ms(stage)
    slowly = {"status": 200, "delay_seconds": 1.5}
    requests.post(f"{stage.receiver}/_control/faults", json=slowly, timeout=5).raise_for_status()
    payments = {pay(stage, number) for number in range(40)}
    # More than its threads can process: the rest is prefetched or in the queue.
    wait_until(lambda: notified_payments(stage) & payments, "the first is told", PATIENCE_SECONDS)

    second.start()
    with Stopwatch() as watch:
        first.stop()
    assert first.process is not None
    assert first.process.returncode == 0
    assert watch.seconds < 10, "tasks are bounded, so is a stop"
    assert not notified_payments(stage) >= payments, "there was work in hand"

    wait_until(
        lambda: notified_payments(stage) >= payments,
        "the other worker tells the rest",
        PATIENCE_SECONDS,
    )
    wait_until(
        lambda: not stage.redis.zcard(Keys().due(NOTIFICATIONS)), "all is marked", PATIENCE_SECONDS
    )
    assert lapsed(stage, EVENTS, began_ms) == {}
    assert lapsed(stage, NOTIFICATIONS, began_ms) == {}
    requests.delete(f"{stage.receiver}/_control/faults", timeout=5).raise_for_status()
    first.start()


def test_workers_restarted_in_turn_under_traffic_hand_over_every_doorbell(stage: Stage) -> None:
    payments = set[str]()
    for worker in stage.roles("worker") * 3:
        payments |= {pay(stage, number) for number in range(5)}
        worker.stop()
        worker.start()
        # A message that arrives while a worker stops is put back for the other one.
        wait_until(lambda: stage.consumers() == 2, "both workers consume", PATIENCE_SECONDS)
    wait_until(lambda: notified_payments(stage) >= payments, "all is told", PATIENCE_SECONDS)
    assert all(service.alive for service in stage.services.values())
    assert not stage.redis.exists(Keys().garbage())


def test_the_store_restarts_and_everybody_reconnects_within_seconds(stage: Stage) -> None:
    before = pay(stage)
    wait_until(lambda: before in notified_payments(stage), "the service works", PATIENCE_SECONDS)
    valkey = stage.services["valkey"]
    valkey.kill()
    valkey.start()
    wait_until(stage.valkey_answers, "the store is back", PATIENCE_SECONDS)
    with Stopwatch() as watch:
        after = pay(stage)
        wait_until(lambda: after in notified_payments(stage), "news travel again", PATIENCE_SECONDS)
        wait_until(lambda: stage.consumers() == 2, "both workers consume", PATIENCE_SECONDS)
    assert watch.seconds < RECONNECT_SECONDS
    assert all(service.alive for service in stage.services.values())


def test_a_webhook_that_cannot_be_recorded_is_refused_and_processed_when_it_comes_again(
    stage: Stage,
) -> None:
    before = len(deliveries(stage))
    stage.services["valkey"].kill()
    payment = pay_at_stripe(stage)

    def answers() -> list[int | None]:
        later = deliveries(stage)[before:]
        return [attempt["status"] for delivery in later for attempt in delivery["attempts"]]

    wait_until(lambda: 503 in answers(), "the webhook is refused", PATIENCE_SECONDS)
    assert set(answers()) <= {503, None}
    stage.services["valkey"].start()
    wait_until(
        lambda: payment in notified_payments(stage), "Stripe sends it again", PATIENCE_SECONDS
    )
    assert 200 in answers()


def test_messages_lost_with_a_queue_are_rung_for_again(stage: Stage) -> None:
    for worker in stage.roles("worker"):
        worker.stop()
    others = stage.redis.zcard(Keys().due(EVENTS))
    payments = {pay(stage, number) for number in range(5)}
    wait_until(
        lambda: stage.redis.zcard(Keys().due(EVENTS)) >= others + 10,
        "events wait",
        PATIENCE_SECONDS,
    )
    stage.redis.delete(*(Keys().queue(kind) for kind in KINDS.values()))
    for worker in stage.roles("worker"):
        worker.start()
    wait_until(
        lambda: notified_payments(stage) >= payments, "all is told all the same", PATIENCE_SECONDS
    )
