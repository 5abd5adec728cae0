"""Parts that all benchmarks use: settings for the stage, real events to copy, CPU time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil
import requests

from chaos.stage import NOTIFICATION_SECRET, WEBHOOK_SECRET, Stage
from shared.settings import Settings
from shared.stripe.gateway import API_VERSION

Json = dict[str, Any]
T = TypeVar("T")
HEADERS = {"Authorization": "Bearer sk_test_bench", "Stripe-Version": API_VERSION}
# A short run only checks in CI that a benchmark works; its figures mean little.
SHORT = os.environ.get("BENCH_SHORT") == "1"
# Limits so high that the budget of calls to Stripe never delays one.
UNLIMITED = {"STRIPE_RATE_LIMIT": "100000", "STRIPE_ENDPOINT_RATE_LIMIT": "100000"}


def size_of_run(full: int, short: int) -> int:
    """Choose the size of a run."""
    return short if SHORT else full


def settings_of(stage: Stage, **changes: Any) -> Settings:
    """Build the settings of the staged processes, for work in this process."""
    variables = {
        "stripe_secret_key": "sk_test_bench",
        "stripe_webhook_secret": WEBHOOK_SECRET,
        "stripe_api_base": stage.sandbox,
        "event_service_url": stage.receiver,
        "event_service_secret": NOTIFICATION_SECRET,
        "redis_url": stage.redis_url,
        "log_level": "WARNING",
    }
    return Settings(_env_file=None, **(variables | changes))


def pay(stage: Stage) -> Json:
    """Make a payment in the sandbox; return the payment intent."""
    payment = {
        "amount": 1000,
        "currency": "sgd",
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "metadata[event_id]": "123",
        "metadata[user_id]": "u-1",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    answer = requests.post(
        f"{stage.sandbox}/v1/payment_intents", payment, headers=HEADERS, timeout=5
    )
    answer.raise_for_status()
    intent: Json = answer.json()
    return intent


def real_event(stage: Stage, event_type: str) -> Json:
    """Make a payment in the sandbox, and return its event of this type."""
    pay(stage)
    query = {"type": event_type}
    events = requests.get(f"{stage.sandbox}/v1/events", query, headers=HEADERS, timeout=5).json()
    event: Json = events["data"][0]
    return event


def copies(event: Json, count: int) -> Iterator[tuple[str, str]]:
    """Yield distinct copies of an event, as id and body, each of another payment."""
    text = json.dumps(event, indent=2)
    subject = event["data"]["object"]
    payment = subject["payment_intent"] if subject["object"] != "payment_intent" else subject["id"]
    for number in range(count):
        tail = f"{number:07d}"
        event_id = event["id"][:-7] + tail
        body = text.replace(event["id"], event_id).replace(payment, payment[:-7] + tail)
        yield event_id, body


@dataclass
class CpuCost:
    """The cost of some work: elapsed seconds, and seconds of CPU including children."""

    seconds: float
    cpu_seconds: float


def cpu_cost(pid: int, work: Callable[[], T]) -> tuple[T, CpuCost]:
    """Do the work; return its result, and its cost for the process with this pid."""
    started_at, cpu_before = time.perf_counter(), cpu_seconds(pid)
    result = work()
    seconds = time.perf_counter() - started_at
    return result, CpuCost(seconds, cpu_seconds(pid) - cpu_before)


def cpu_seconds(pid: int) -> float:
    """Sum the CPU time of a process and its living children."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    times = [member.cpu_times() for member in family]
    return sum(float(one.user) + float(one.system) for one in times)


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    return round(float(psutil.Process(pid).memory_info().rss) / 1e6, 1)


def row(*cells: object) -> None:
    """Print one row of a table."""
    sys.stdout.write("| " + " | ".join(str(cell) for cell in cells) + " |\n")
    sys.stdout.flush()


def head(title: str, *columns: str) -> None:
    """Print the head of a table."""
    sys.stdout.write(f"\n{title}\n\n")
    row(*columns)
    row(*("---" for _ in columns))
