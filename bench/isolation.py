"""The duration of a refund while the event service needs seconds for every answer.

The event service accepts all notifications, slowly, so the breaker stays closed. One worker, or
two, serve all queues, or a process of its own serves the notifications.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import requests

from bench._setting import head, row, size_of_run
from chaos.stage import Crew, Stage, wait_until
from shared.keys import Keys
from shared.work.kinds import EVENTS, NOTIFICATIONS

SLOW_SECONDS = 5.0
PATIENCE_SECONDS = 120.0
CALL_SECONDS = 35
# The longest wait that `Prefer: wait` allows.
WAIT_SECONDS = 30


def main() -> None:
    """Measure each kind of crew and print the figures."""
    backlog, refunds = size_of_run(120, 30), size_of_run(20, 4)
    head(
        f"Refunds while the event service takes {SLOW_SECONDS:.0f} s for each of {backlog} others",
        *("who works", "refund done: median, s", "longest, s", "not done in 30 s"),
    )
    for name, crew in (
        ("one worker for every queue", Crew(workers=1)),
        ("two workers for every queue", Crew(workers=2)),
        ("a worker, and one for notifications", Crew(workers=1, notifiers=1)),
    ):
        times = sorted(measure(crew, backlog, refunds))
        in_time = [seconds for seconds in times if seconds < WAIT_SECONDS]
        median = times[len(times) // 2]
        row(name, f"{median:.2f}", f"{times[-1]:.2f}", len(times) - len(in_time))


def measure(crew: Crew, backlog: int, refunds: int) -> list[float]:
    """Build a backlog of notifications, then refund; return the seconds of each refund."""
    with Stage(
        crew=crew,
        EVENT_SERVICE_TIMEOUT_SECONDS="10",
        LOG_LEVEL="ERROR",
    ) as stage:
        payments = [_pay(stage) for _ in range(refunds)]
        wait_until(
            lambda: _notifications(stage) >= refunds, "the payments are told", PATIENCE_SECONDS
        )
        slow = {"status": 200, "delay_seconds": SLOW_SECONDS}
        url = f"{stage.receiver}/_control/faults"
        requests.post(url, json=slow, timeout=5).raise_for_status()
        for _ in range(backlog):
            _pay(stage)
        wait_until(lambda: _waiting(stage) > backlog // 2, "work waits", PATIENCE_SECONDS)
        with ThreadPoolExecutor(2) as callers:
            return list(callers.map(lambda payment: _refund(stage, payment), payments))


def _notifications(stage: Stage) -> int:
    return len(requests.get(f"{stage.receiver}/notifications", timeout=5).json()["data"])


def _waiting(stage: Stage) -> int:
    return int(stage.redis.zcard(Keys().due(EVENTS)) + stage.redis.zcard(Keys().due(NOTIFICATIONS)))


def _pay(stage: Stage) -> str:
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    answer = requests.post(f"{stage.api}/api/payment/process", json=body, timeout=CALL_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["payment_intent_id"])


def _refund(stage: Stage, payment: str) -> float:
    """Refund and wait for the result; return the seconds."""
    started_at = time.perf_counter()
    answer = requests.post(
        f"{stage.api}/api/refund/process",
        json={"payment_intent_id": payment, "amount": 100},
        headers={"Prefer": f"wait={WAIT_SECONDS}"},
        timeout=CALL_SECONDS,
    )
    answer.raise_for_status()
    return time.perf_counter() - started_at


if __name__ == "__main__":
    main()
