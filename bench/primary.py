"""One primary: what the whole life of a payment costs Redis, and so how many it carries."""

from __future__ import annotations

import json
from typing import Any

import requests

from bench._setting import HEADERS, copies, head, pay, row, scaled, settings_of
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
# What one payment by card causes: Stripe's events, of which one is told.
TYPES = ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated")
CLUSTER = f"{VALKEY_OPTIONS} --cluster-enabled yes"
# One client waits for each fsync alone; under load many share one, which this shows the floor of.
NO_FSYNC = VALKEY_OPTIONS.replace("always", "no")


def main() -> None:
    """Live many payments through, by one client, and read the server's own processor time."""
    count = scaled(2000, 100)
    head(
        f"One primary ({count} payments: 4 events, 1 notification each)",
        *("store", "Redis CPU us per payment", "payments/s of one core", "scripts per payment"),
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
            row(name, *_live(stage, count))


def _serve_all_slots(stage: Stage) -> None:
    redis: Any = stage.redis
    redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(
        lambda: "cluster_state:ok" in str(redis.execute_command("CLUSTER", "INFO")), "slots", 30
    )


def _live(stage: Stage, count: int) -> tuple[int, int, float]:
    settings = settings_of(stage)
    configure_logging(settings, "bench")
    pay(stage)
    events = [_of_type(stage, kind) for kind in TYPES]
    runtime = Runtime(settings, open_store(settings, "bench"))
    delivery.post = lambda *_: Answer(status=200)  # the event service is not measured
    before, scripts = _cpu(runtime.store), _scripts(runtime.store)
    for bodies in zip(*(copies(event, count) for event in events), strict=True):
        _one(runtime, bodies)
    micros = (_cpu(runtime.store) - before) / count
    return round(micros), round(1e6 / micros), round((_scripts(runtime.store) - scripts) / count, 1)


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
    event: Json = wait_until(lambda: _listed(stage, event_type), event_type, 30)
    subject = event["data"]["object"]
    # All four of one payment, whichever the sandbox made them for.
    text = json.dumps(event)
    intent = subject["payment_intent"] if subject["object"] == "charge" else subject["id"]
    return dict(json.loads(text.replace(intent, "pi_3bench0000000000000000")))


def _listed(stage: Stage, event_type: str) -> Json:
    query = {"type": event_type}
    answer = requests.get(f"{stage.sandbox}/v1/events", query, headers=HEADERS, timeout=5)
    return next(iter(answer.json()["data"]), {})


def _cpu(store: Store) -> float:
    usage = store.redis.info("cpu")
    return 1e6 * float(usage["used_cpu_user"] + usage["used_cpu_sys"])


def _scripts(store: Store) -> int:
    return int(store.redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


if __name__ == "__main__":
    main()
