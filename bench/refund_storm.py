"""A storm of refunds with Stripe's rate limits: how many are refused, and the delay of payments.

Payments are made at a steady pace, first alone and then during the storm, in one run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice, takewhile
from typing import Any

import requests

from bench._setting import UNLIMITED, Json, head, pay, row, size_of_run
from chaos.stage import Crew, Stage, wait_until
from shared.keys import Keys
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS

# Partial refunds of one payment; few, so that its lists stay short.
REFUNDS_OF_ONE = 10
SECONDS_BETWEEN_PAYMENTS = 0.25
LIMIT_SECONDS = 900.0
CALL_SECONDS = 35
PAYMENT = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
# Stripe's limits, which the sandbox applies to the key's account.
LIMITS: Json = {"per_endpoint": 25, "per_account": 100}


@dataclass
class Storm:
    """The results of a storm: its duration, the refused calls, the seconds of each payment."""

    seconds: float = 0.0
    refused: int = 0
    refunds: int = 0
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)


def main() -> None:
    """Run a storm with the budget and one without, and print the figures."""
    count = size_of_run(2000, 40)
    head(
        f"{count} refunds at a Stripe that allows 25 calls a second to an endpoint",
        *("budget", "refunds/s", "429s", "payment alone: median, ms", "p95"),
        *("beside: median, ms", "p95"),
    )
    for name, settings in (("with", {}), ("without", UNLIMITED)):
        storm = measure(count, size_of_run(80, 8), **settings)
        times = [t for s in (storm.alone, storm.beside) for t in (statistics.median(s), _p95(s))]
        rate = f"{count / storm.seconds:.1f}"
        row(name, rate, storm.refused, *(f"{seconds * 1000:.0f}" for seconds in times))


def measure(count: int, payments_alone: int, **settings: Any) -> Storm:
    """Request all refunds at once, wait until all are made, and check each."""
    with Stage(
        crew=Crew(workers=1, notifiers=1, upkeeps=1), LOG_LEVEL="ERROR", **settings
    ) as stage:
        payments = [str(pay(stage)["id"]) for _ in range(-(-count // REFUNDS_OF_ONE))]
        wait_until(lambda: not _open(stage), "the payments are told", LIMIT_SECONDS)
        _control(stage, LIMITS)
        storm = Storm(alone=list(islice(_payments(stage), payments_alone)))
        started_at = time.monotonic()
        with ThreadPoolExecutor(8) as callers:
            list(callers.map(lambda one: _refund(stage, one), islice(cycle(payments), count)))
        waits = takewhile(lambda _: stage.redis.zcard(Keys().due(REFUNDS)), _payments(stage))
        storm.beside = list(waits)
        storm.seconds = time.monotonic() - started_at
        storm.refused = sum(_limits(stage)["refused"].values())
        _control(stage, dict.fromkeys(LIMITS))
        wait_until(lambda: not _open(stage), "all is told", LIMIT_SECONDS)
        storm.refunds = _notifications(stage, "refund.succeeded")
        assert storm.refunds == count, f"{storm.refunds} of {count} refunds were told"
        return storm


def _payments(stage: Stage) -> Iterator[float]:
    """Make payments at a steady pace without end; yield the seconds of each."""
    while True:
        started_at = time.perf_counter()
        answer = requests.post(
            f"{stage.api}/api/payment/process", json=PAYMENT, timeout=CALL_SECONDS
        )
        answer.raise_for_status()
        seconds = time.perf_counter() - started_at
        yield seconds
        time.sleep(max(0.0, SECONDS_BETWEEN_PAYMENTS - seconds))


def _refund(stage: Stage, payment: str) -> None:
    body = {"payment_intent_id": payment, "amount": 10}
    url = f"{stage.api}/api/refund/process"
    requests.post(url, json=body, timeout=CALL_SECONDS).raise_for_status()


def _notifications(stage: Stage, kind: str) -> int:
    notifications = requests.get(f"{stage.receiver}/notifications", timeout=30).json()["data"]
    return sum(item["type"] == kind for item in notifications)


def _open(stage: Stage) -> int:
    kinds = (EVENTS, REFUNDS, NOTIFICATIONS)
    return sum(int(stage.redis.zcard(Keys().due(kind))) for kind in kinds)


def _control(stage: Stage, limits: Json) -> None:
    url = f"{stage.sandbox}/_sandbox/rate_limits"
    requests.post(url, json=limits, timeout=5).raise_for_status()


def _limits(stage: Stage) -> Json:
    answer: Json = requests.get(f"{stage.sandbox}/_sandbox/rate_limits", timeout=5).json()
    return answer


def _p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


if __name__ == "__main__":
    main()
