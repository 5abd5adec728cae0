"""The worker: events per second and CPU time, compared with a Celery task that does nothing.

It is measured with and without task events, which Flower needs.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench._setting import (
    CpuCost,
    Json,
    copies,
    cpu_cost,
    head,
    real_event,
    row,
    settings_of,
    size_of_run,
)
from chaos.stage import Service, Stage, free_ports, wait_until
from shared.keys import Keys
from shared.store.connection import connect
from shared.store.scripts import Store
from shared.stripe.event import parse_event
from shared.work.doorbell import template
from shared.work.inbox import Inbox
from shared.work.kinds import EVENTS, NOTIFICATIONS

POLL_SECONDS = 0.005
LIMIT_SECONDS = 300.0


@dataclass(frozen=True)
class Contest:
    """One line of the table: the worker, its options and its items."""

    name: str
    command: list[str]
    event_type: str | None = None
    flower: bool = False


def ours(name: str, task_events: str, event_type: str, **how: Any) -> Contest:
    """Return a contest of our worker."""
    return Contest(
        name, [sys.executable, "-m", "bench._worker", task_events, "2"], event_type, **how
    )


def noop(name: str, settings: str, task_events: str) -> Contest:
    """Return a contest of the task that does nothing."""
    return Contest(name, [sys.executable, "-m", "bench._noop", settings, task_events])


# One event, one claim, one settlement; then the same and a notification delivered over HTTP.
QUIET, NOTIFIED = "charge.succeeded", "payment_intent.succeeded"
COST = (
    noop("no-op, Celery's defaults", "celery", "off"),
    noop("no-op, our settings", "ours", "off"),
    noop("no-op, our settings, task events", "ours", "on"),
    ours("event without notification", "off", QUIET),
    ours("event without notification, task events", "on", QUIET),
    ours("event and its notification", "off", NOTIFIED),
    ours("event and its notification, task events", "on", NOTIFIED),
    ours("event and its notification, task events, Flower", "on", NOTIFIED, flower=True),
)


def main() -> None:
    """Run all contests and print the figures."""
    count = size_of_run(4000, 200)
    roles = ("valkey", "sandbox", "receiver")
    with Stage(only=roles) as stage:
        head(
            f"What the worker costs ({count} items, one process)",
            *("what", "items/s", "CPU ms per item", "items/s, first = 1", "CPU, first = 1"),
        )
        first: CpuCost | None = None
        for contest in COST:
            cost = measure(stage, contest, count)
            first = first or cost
            rate, cpu = f"{count / cost.seconds:.0f}", cost.cpu_seconds / count * 1000
            faster = f"{first.seconds / cost.seconds:.2f}"
            dearer = f"{cost.cpu_seconds / first.cpu_seconds:.2f}"
            row(contest.name, rate, f"{cpu:.2f}", faster, dearer)


def measure(stage: Stage, contest: Contest, count: int) -> CpuCost:
    """Queue the items, let a worker empty the queue, and return the cost."""
    stage.redis.flushall()
    if contest.event_type is None:
        left = _queue_noops(stage, count)
    else:
        left = _record(stage, real_event(stage, contest.event_type), count)
    worker = Service("contest", contest.command, stage.environment, stage.folder)
    flower = _flower(stage) if contest.flower else None
    worker.start()
    try:
        # The worker's start is not measured: begin when it has begun to work.
        wait_until(lambda: left() < count, "the worker begins", LIMIT_SECONDS)
        before = left()
        _, cost = cpu_cost(worker.pid, lambda: _drain(left))
    finally:
        worker.stop()
        if flower:
            flower.stop()
    share = count / before
    return CpuCost(cost.seconds * share, cost.cpu_seconds * share)


def _drain(left: Callable[[], int]) -> None:
    give_up_at = time.monotonic() + LIMIT_SECONDS
    while left():
        assert time.monotonic() < give_up_at, f"{left()} items are left"
        time.sleep(POLL_SECONDS)


def _queue_noops(stage: Stage, count: int) -> Callable[[], int]:
    pipe = stage.redis.pipeline(transaction=False)
    message = template("noop", "noop")
    for number in range(count):
        pipe.lpush("noop", message.replace("@@ID@@", "x").replace("@@TAG@@", f"t{number}"))
    pipe.execute()
    return lambda: int(stage.redis.llen("noop"))


def _record(stage: Stage, event: Json, count: int) -> Callable[[], int]:
    settings = settings_of(stage)
    with connect(settings, "bench") as client:
        inbox = Inbox(Store(client), settings)
        for _, body in copies(event, count):
            inbox.record(parse_event(body), body, source="webhook")

    def left() -> int:
        # Each event is followed by a notification.
        events, notifications = (
            stage.redis.zcard(Keys().due(kind)) for kind in (EVENTS, NOTIFICATIONS)
        )
        return min(count, max(int(events), int(notifications)))

    return left


def _flower(stage: Stage) -> Service:
    port = free_ports(1)[0]
    flower = "-m worker.flower --address=127.0.0.1 --max_tasks=5000"
    command = [sys.executable, *flower.split(), f"--port={port}", "--logging=error"]
    service = Service("flower", command, stage.environment, stage.folder)
    service.start()

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, "Flower listens", LIMIT_SECONDS)
    return service


if __name__ == "__main__":
    main()
