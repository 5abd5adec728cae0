"""One primary: the cost of a payment's whole life for Redis, and so the number it can serve.

A server's CPU time depends on other load of the machine, which shares fsyncs and caches. So the
payments are processed in rounds, and between any two the same server writes plain values of 1 KB.
The cost of a payment is printed as the best round in us, and as the median of the rounds in such
plain writes, which is comparable between machines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import requests

from bench._setting import HEADERS, copies, head, pay, row, settings_of, size_of_run
from chaos.stage import VALKEY_OPTIONS, Stage, wait_until
from shared.store.connection import open_store
from shared.store.scripts import Store
from shared.stripe.event import parse_event
from shared.telemetry.logging import configure_logging
from shared.work.inbox import Inbox
from worker import delivery
from worker.event_service import Answer
from worker.jobs import JOBS
from worker.run import Job, run
from worker.runtime import Runtime

Json = dict[str, Any]
# Stripe's events of one card payment, one of which leads to a notification.
TYPES = ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated")
PLAIN = "x" * 1024
CLUSTER = f"{VALKEY_OPTIONS} --cluster-enabled yes"
# One client waits for each fsync alone; under load many share one, and this shows the lower limit.
NO_FSYNC = VALKEY_OPTIONS.replace("always", "no")


def main() -> None:
    """Process payments by one client, and read the server's CPU time."""
    rounds, count = size_of_run(10, 3), size_of_run(200, 20)
    head(
        f"One primary ({rounds} rounds of {count} payments: 4 events, 1 notification each)",
        *("store", "Redis CPU us per payment: best, median", "payments/s of one core (best)"),
        *("median, in plain writes", "a plain write, us (median)", "scripts per payment"),
    )
    stores = (
        ("one server, an fsync for each write", VALKEY_OPTIONS),
        ("one server, no fsync", NO_FSYNC),
        ("cluster mode, an fsync for each write", CLUSTER),
    )
    for name, options in stores:
        with Stage(only=("valkey", "sandbox"), valkey_options=options) as stage:
            if options is CLUSTER:
                _serve_all_slots(stage)
            row(name, *_live(stage, rounds, count))


def _serve_all_slots(stage: Stage) -> None:
    redis: Any = stage.redis
    redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(
        lambda: "cluster_state:ok" in str(redis.execute_command("CLUSTER", "INFO")), "slots", 30
    )


def _live(stage: Stage, rounds: int, count: int) -> tuple[str, int, str, int, float]:
    settings = settings_of(stage, log_level="ERROR")
    configure_logging(settings, "bench")
    pay(stage)
    events = [_of_type(stage, kind) for kind in TYPES]
    stage.services["sandbox"].stop()  # its events are delivered; it must not disturb
    runtime = Runtime(settings, open_store(settings, "bench"))
    delivery.post = lambda *_: Answer(status=200)  # the event service is not measured
    lives = list(zip(*(copies(event, (rounds + 1) * count) for event in events), strict=True))
    _live_through(runtime, lives[:count])  # scripts are loaded, buffers grown
    scripts_before = _scripts(runtime.store)
    payments, writes = [], []
    for number in range(1, rounds + 1):
        part = lives[number * count : (number + 1) * count]
        payments.append(_cpu_us(runtime.store, partial(_live_through, runtime, part)) / count)
        writes.append(_cpu_us(runtime.store, partial(_write_plainly, runtime, count)) / count)
    scripts = round((_scripts(runtime.store) - scripts_before) / rounds / count, 1)
    ratio = median(cost / plain for cost, plain in zip(payments, writes, strict=True))
    best = min(payments)
    each = f"{best:.0f}, {median(payments):.0f}"
    return each, round(1e6 / best), f"{ratio:.1f}", round(median(writes)), scripts


def _live_through(runtime: Runtime, lives: list[tuple[tuple[str, str], ...]]) -> None:
    for bodies in lives:
        _one(runtime, bodies)


def _write_plainly(runtime: Runtime, count: int) -> None:
    """Write values of 1 KB, one at a time, to measure the cost of server and machine alone."""
    for number in range(count):
        runtime.store.redis.set(f"plain:{number % 10}", PLAIN)


def _one(runtime: Runtime, bodies: tuple[tuple[str, str], ...]) -> None:
    inbox = Inbox(runtime.store, runtime.settings)
    for _, body in bodies:
        inbox.record(parse_event(body), body, source="webhook")
    _answer(runtime, JOBS["events"])
    _answer(runtime, JOBS["notifications"])


def _answer(runtime: Runtime, job: Job) -> None:
    redis: Any = runtime.store.redis
    while message := redis.rpop(runtime.store.keys.queue(job.kind)):
        run(job, runtime, json.loads(json.loads(message)["body"])[0][0])


def _of_type(stage: Stage, event_type: str) -> Json:
    event: Json = wait_until(lambda: _event_of_type(stage, event_type), event_type, 30)
    subject = event["data"]["object"]
    # All four of one payment, whichever the sandbox made them for.
    text = json.dumps(event)
    intent = subject["payment_intent"] if subject["object"] == "charge" else subject["id"]
    return dict(json.loads(text.replace(intent, "pi_3bench0000000000000000")))


def _event_of_type(stage: Stage, event_type: str) -> Json:
    query = {"type": event_type}
    answer = requests.get(f"{stage.sandbox}/v1/events", query, headers=HEADERS, timeout=5)
    return next(iter(answer.json()["data"]), {})


def _cpu_us(store: Store, work: Callable[[], None]) -> float:
    """Do the work; return the server's CPU time for it in us."""
    before = _cpu(store)
    work()
    return _cpu(store) - before


def _cpu(store: Store) -> float:
    usage = store.redis.info("cpu")
    return 1e6 * float(usage["used_cpu_user"] + usage["used_cpu_sys"])


def _scripts(store: Store) -> int:
    return int(store.redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


if __name__ == "__main__":
    main()
