"""The best pool, threads and prefetch for each queue, served by one process.

Stripe answers a refund after 300 ms and the event service a notification after 100 ms, which are
usual times.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil
import requests

from bench._setting import (
    SHORT,
    UNLIMITED,
    Json,
    copies,
    cpu_cost,
    head,
    pay,
    real_event,
    row,
    settings_of,
    size_of_run,
)
from bench._staging import stage_notifications
from chaos.stage import Crew, Service, Stage, wait_until
from shared.keys import Keys
from shared.store.connection import connect
from shared.store.scripts import Store
from shared.stripe.event import parse_event
from shared.work.inbox import Inbox
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS, Kind
from shared.work.refund_jobs import RefundJobs, RefundRequest, job_id

STRIPE_SECONDS = 0.3
EVENT_SERVICE_SECONDS = 0.1
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.01
PAYERS = 8


@dataclass(frozen=True)
class Choice:
    """The options of one worker process."""

    pool: str
    concurrency: int
    prefetch: int


CHOICES = (
    *(Choice("threads", threads, 2) for threads in (2, 4, 8, 16, 32)),
    *(Choice("threads", 8, prefetch) for prefetch in (1, 4)),
    *(Choice("prefork", processes, 2) for processes in (2, 8)),
)
if SHORT:
    CHOICES = (Choice("threads", 8, 2), Choice("prefork", 2, 2))


def main() -> None:
    """Fill each queue for each choice, which then empties it.

    At most half of a worker's threads call Stripe, and other refunds are put off: so the relay,
    which rings for them again, runs too. The budget of calls per second would hide the difference.
    """
    roles = ("valkey", "sandbox", "receiver", "upkeep")
    settings: Json = UNLIMITED | {"SANDBOX_WEBHOOK_URL": "", "LOG_LEVEL": "ERROR"}
    with Stage(only=roles, crew=Crew(upkeeps=1), **settings) as stage:
        _slow_down(stage)
        for kind, count, fill in (
            (EVENTS, size_of_run(2_000, 100), _events),
            (REFUNDS, size_of_run(160, 20), _refunds),
            (NOTIFICATIONS, size_of_run(600, 100), _notifications),
        ):
            head(
                f"Queue `{kind.name}`: {count} items, one process",
                *("pool", "at once", "prefetch", "items/s", "CPU ms per item", "MB"),
            )
            for choice in CHOICES:
                rate, cpu_ms, megabytes = measure(stage, kind, choice, count, fill)
                how = (choice.pool, choice.concurrency, choice.prefetch)
                row(*how, f"{rate:.0f}", f"{cpu_ms:.2f}", f"{megabytes:.0f}")


def measure(
    stage: Stage, kind: Kind, choice: Choice, count: int, fill: Callable[[Stage, int], None]
) -> tuple[float, float, float]:
    """Fill the queue, let a worker empty it; return items/s, CPU ms per item and MB.

    The worker is frozen while the queue is filled, so that its start is not measured.
    """
    stage.redis.flushall()
    command = [sys.executable, "-m", "bench._worker", "off", str(choice.prefetch), choice.pool]
    own = {"WORKER_QUEUES": kind.name, "WORKER_CONCURRENCY": str(choice.concurrency)}
    worker = Service("choice", command, stage.environment | own, stage.folder)
    worker.start()
    try:
        wait_until(stage.consumers, "the worker waits for a message", PATIENCE_SECONDS)
        worker.send(signal.SIGSTOP)
        fill(stage, count)
        _, cost = cpu_cost(worker.pid, lambda: _drain(stage, kind, worker))
        megabytes = _family_mb(worker.pid)
    finally:
        worker.stop()
    return count / cost.seconds, cost.cpu_seconds * 1000 / count, megabytes


def _slow_down(stage: Stage) -> None:
    """Let Stripe and the event service answer after their usual times."""
    stripe = {"kind": "delay", "delay_seconds": STRIPE_SECONDS, "times": None}
    refunds = {"match": {"method": "POST", "path_prefix": "/v1/refunds"}}
    peer = {"status": 200, "delay_seconds": EVENT_SERVICE_SECONDS}
    for url, fault in (
        (f"{stage.sandbox}/_sandbox/faults", stripe | refunds),
        (f"{stage.receiver}/_control/faults", peer),
    ):
        requests.post(url, json=fault, timeout=5).raise_for_status()


def _events(stage: Stage, count: int) -> None:
    settings = settings_of(stage)
    event = real_event(stage, "payment_intent.succeeded")
    with connect(settings, "bench") as client:
        inbox = Inbox(Store(client), settings)
        for _, body in copies(event, count):
            inbox.record(parse_event(body), body, source="webhook")


def _refunds(stage: Stage, count: int) -> None:
    settings = settings_of(stage)
    with connect(settings, "bench") as client, ThreadPoolExecutor(PAYERS) as payers:
        jobs = RefundJobs(Store(client), settings)
        for payment in payers.map(lambda _: pay(stage), range(count)):
            jobs.record(job_id("bench", payment["id"]), RefundRequest(payment["id"], amount=1))


def _notifications(stage: Stage, count: int) -> None:
    event = parse_event(real_event(stage, "payment_intent.succeeded"))
    stage_notifications(stage, event, count, 1)


def _count_left(stage: Stage, kind: Kind) -> int:
    return int(stage.redis.zcard(Keys().due(kind)))


def _drain(stage: Stage, kind: Kind, worker: Service) -> None:
    worker.send(signal.SIGCONT)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while left := _count_left(stage, kind):
        assert time.monotonic() < give_up_at, f"{left} items are left"
        time.sleep(POLL_SECONDS)


def _family_mb(pid: int) -> float:
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return float(sum(member.memory_full_info().pss for member in family)) / 1e6


if __name__ == "__main__":
    main()
