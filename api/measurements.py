"""Measurements: the current state of the service, read from Redis at each scrape.

They are the same whichever process answers. All reading is bounded: a backlog of 100,000 costs a
scrape no more than one of 2,000.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from shared.store.durability import inspect, memory
from shared.store.scripts import Store, redis_errors
from shared.stripe.gateway import API_VERSION
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS, Kind
from shared.work.liveness import alive
from shared.work.queues import queues
from shared.work.reconciliation import Reconciliation

# A number for each tuple of label values.
Samples = Mapping[Any, float]
# Most open items of a kind that a survey reads: half of them due first, half due last, because an
# item that has been retried for long is due late.
SURVEY = 2_000
UNCOUNTED = "uncounted"


@dataclass(frozen=True)
class Measurement:
    """One gauge, or with `counter` one counter: a number for each set of labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    samples: Samples
    counter: bool = False


@dataclass(frozen=True)
class Survey:
    """Open items of a kind: the number in each state, and the age of the oldest."""

    states: dict[str, int]
    oldest_seconds: float


def survey(store: Store, kind: Kind) -> Survey:
    """Count the open items by state, and find the oldest; exact up to `SURVEY` items."""
    with redis_errors():
        due = store.keys.due(kind)
        total = int(store.redis.zcard(due))
        first = store.redis.zrange(due, 0, SURVEY // 2 - 1)
        last = store.redis.zrange(due, -(SURVEY // 2), -1)
        ids = set(cast(list[str], first)) | set(cast(list[str], last))
        pipe = store.redis.pipeline(transaction=False)
        for item_id in ids:
            pipe.hmget(store.keys.item(kind, item_id), "state", "recorded_at", "redriven_at")
        rows = [row for row in pipe.execute() if row[0]]
    states = Counter(str(row[0]) for row in rows)
    if total > len(ids):
        states[UNCOUNTED] = total - len(ids)
    since = min((int(row[2] or row[1]) for row in rows), default=None)
    age = 0.0 if since is None else (store.now_ms() - since) / 1000
    return Survey(dict(states), age)


def measure(store: Store) -> Iterator[Measurement]:
    """Measure everything. Raises `Unavailable`."""
    yield from _queues(store)
    yield from _work(store)
    yield from _reconciliation(store)
    yield from _endpoints(store)
    yield from _store(store)
    yield _gauge(
        "billing_info", "Version of the service.", ("stripe_api_version",), {(API_VERSION,): 1.0}
    )


def _queues(store: Store) -> Iterator[Measurement]:
    stand = queues(store)
    columns = {
        "depth": ("billing_queue_depth", "Messages in a queue."),
        "open": (
            "billing_work_open",
            "Items that are not finished; of notifications the first of each payment.",
        ),
        "due": ("billing_work_due", "Items that are due and that no worker holds."),
        "overdue_seconds": (
            "billing_work_overdue_seconds",
            "Seconds for which the first item has been due.",
        ),
        "dead": ("billing_dead_letters", "Items that were given up and need an operator."),
        "consumed_seconds_ago": (
            "billing_queue_silent_seconds",
            "Seconds since a worker last gave a sign of life on the queue; +Inf: never.",
        ),
    }
    for column, (name, text) in columns.items():
        samples = {(row["name"],): _age(row[column]) for row in stand["data"]}
        yield _gauge(name, text, ("queue",), samples)
    yield _gauge(
        "billing_upkeep_silent_seconds",
        "Seconds since a relay last gave a sign of life; +Inf: never.",
        (),
        {(): _age(stand["upkeep_seconds_ago"])},
    )
    stuck = {(): float(len(stand["stuck"]))}
    text = "Workers whose threads all made no progress for longer than a lease."
    yield _gauge("billing_workers_stuck", text, (), stuck)
    offsets = {(who,): seconds for who, seconds in alive(store).clocks.items()}
    text = "Seconds by which the clock of a process is ahead of Redis's."
    yield _gauge("billing_clock_ahead_seconds", text, ("process",), offsets)
    yield _gauge(
        "billing_breaker_open",
        "1 while the breaker before the event service is open.",
        (),
        {(): float(stand["breaker_open"])},
    )


def _work(store: Store) -> Iterator[Measurement]:
    states: dict[tuple[str, ...], float] = {}
    oldest: dict[tuple[str, ...], float] = {}
    for kind in (EVENTS, REFUNDS, NOTIFICATIONS):
        open_work = survey(store, kind)
        oldest[kind.name,] = open_work.oldest_seconds
        states |= {(kind.name, state): float(count) for state, count in open_work.states.items()}
    text = "Open items by state; above 2,000 of a kind the rest is not counted."
    yield _gauge("billing_work_items", text, ("kind", "state"), states)
    text = "Age of the oldest open item, since it was recorded or redriven."
    yield _gauge("billing_oldest_open_seconds", text, ("kind",), oldest)


def _reconciliation(store: Store) -> Iterator[Measurement]:
    report = Reconciliation(store).report()
    totals = {(name,): float(count) for name, count in report["total"].items()}
    text = "Events compared with Stripe's archive: seen there, recorded from it, and the gap: "
    text += "recorded although older than a minute."
    yield Measurement("billing_reconcile_events", text, ("outcome",), totals, True)
    yield _gauge(
        "billing_reconcile_gap",
        "Events that the last complete comparison found missing.",
        (),
        {(): float(report["last_round"]["gap"])},
    )
    completed, now = report["completed_at_ms"], store.now_ms()
    age = None if completed is None else (now - completed) / 1000
    text = "Seconds since the last complete comparison with Stripe's archive; +Inf: never."
    yield _gauge("billing_reconcile_age_seconds", text, (), {(): _age(age)})
    marks = [mark for mark in report["watermarks"].values() if mark is not None]
    behind = now / 1000 - min(marks) if marks else math.inf
    text = "Seconds by which the account compared longest ago lies behind."
    yield _gauge("billing_reconcile_watermark_age_seconds", text, (), {(): behind})


def _endpoints(store: Store) -> Iterator[Measurement]:
    counts = Reconciliation(store).report()["endpoints"]
    text = "Webhook endpoints with our path at Stripe; no sample while it is unknown."
    samples = {(status,): float(count) for status, count in counts.items()}
    yield _gauge("billing_webhook_endpoints", text, ("status",), samples)


def _store(store: Store) -> Iterator[Measurement]:
    usage = memory(store)
    text = "Memory that Redis uses, and its limit (0: no limit)."
    samples: Samples = {}
    if usage is not None:  # the findings report a user without the right to INFO
        samples = {("used",): float(usage.used), ("limit",): float(usage.limit)}
    yield _gauge("billing_store_memory_bytes", text, ("which",), samples)
    levels = Counter(finding.level for finding in inspect(store))
    text = "Settings of Redis that do not meet the needs of the service."
    samples = {(level,): float(levels[level]) for level in ("warning", "error")}
    yield _gauge("billing_store_findings", text, ("level",), samples)


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Measurement:
    return Measurement(name, text, labels, samples)


def _age(seconds: float | None) -> float:
    return math.inf if seconds is None else float(seconds)
