"""From a webhook to its notification at 100 events a second, alone and beside a slow Stripe.

The API has two processes; a worker, a notifier and upkeep run as in the Procfile. Every event is of
another payment, and the event service records when each notification arrives.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bench._crowd import slow_stripe
from bench._event_service import Ledger, serve
from bench._load import send, signed_requests
from bench._setting import copies, head, real_event, row, size_of_run
from chaos.stage import Crew, Stage, free_ports, wait_until
from slow.troubles import PAYERS, STRIPE_SECONDS

PER_SECOND = 100
SENDERS = 16
PATIENCE_SECONDS = 60.0
ROLES = ("valkey", "sandbox", "api", "worker", "notifier", "upkeep")


@dataclass
class Arrivals(Ledger):
    """A ledger that also records when the notification of each payment arrived."""

    arrived: dict[str, float] = field(default_factory=dict)

    def take(self, payment: str, sequence: int) -> None:
        """Record the time, and count."""
        self.arrived.setdefault(payment, time.monotonic())
        super().take(payment, sequence)


def main() -> None:
    """Measure both and print their figures."""
    count = size_of_run(2_000, 100)
    head(
        f"{count} webhooks at {PER_SECOND}/s",
        *("beside", "webhook p50, p99 ms", "to notification p50, p99 ms"),
    )
    slow = f"{PAYERS} payments at a Stripe that takes {STRIPE_SECONDS:.0f} s"
    for name, payers, over_seconds in (
        ("nothing", 0, 0.0),
        (f"{slow}, evenly", PAYERS, STRIPE_SECONDS),
        (f"{slow}, all at once", PAYERS, 0.0),
    ):
        answer_times, notified = measure(count, payers, over_seconds)
        row(
            name,
            *(f"{at(times, 0.5):.0f}, {at(times, 0.99):.0f}" for times in (answer_times, notified)),
        )


def at(times: Sequence[float], share: float) -> float:
    """Return a percentile in ms."""
    return sorted(times)[int(len(times) * share)] * 1000


def measure(count: int, payers: int, over_seconds: float) -> tuple[list[float], list[float]]:
    """Send the events; return the seconds to each answer, and to each notification."""
    stripe_port, service_port = free_ports(2)
    crew = Crew(workers=1, notifiers=1, upkeeps=1)
    settings: dict[str, Any] = {
        "STRIPE_API_BASE": f"http://127.0.0.1:{stripe_port}",
        "STRIPE_TIMEOUT_SECONDS": "10",
        "EVENT_SERVICE_URL": f"http://127.0.0.1:{service_port}",
        "RECONCILE_INTERVAL_SECONDS": "3600",
    }
    arrivals = Arrivals()
    service = serve(service_port, arrivals)
    with ExitStack() as stack:
        stage = Stage(crew=crew, only=ROLES, **settings)
        crowd = stack.enter_context(
            slow_stripe(stripe_port, int(urlsplit(stage.sandbox).port or 0))
        )
        stack.enter_context(stage)
        event = real_event(stage, "payment_intent.succeeded")
        events = list(copies(event, count))
        requests = signed_requests(f"{stage.api}/api/webhook", [body for _, body in events])
        payments = [f"{event['data']['object']['id'][:-7]}{n:07d}" for n in range(count)]
        if payers:
            crowd.pay(stage.api, payers, over_seconds)
        send_times, answer_times = _send(stage, requests)
        wait_until(
            lambda: all(payment in arrivals.arrived for payment in payments),
            "every payment is told",
            PATIENCE_SECONDS,
        )
    service.shutdown()
    service.server_close()
    return answer_times, [
        arrivals.arrived[payment] - moment
        for payment, moment in zip(payments, send_times, strict=True)
    ]


def _send(stage: Stage, requests: Sequence[bytes]) -> tuple[list[float], list[float]]:
    """Send each request at its time, without waiting for others; return the times and seconds."""
    began = time.monotonic() + 0.5
    send_times = [began + number / PER_SECOND for number in range(len(requests))]

    def one(number: int) -> float:
        time.sleep(max(0.0, send_times[number] - time.monotonic()))
        send(f"{stage.api}/api/webhook", [requests[number]], 1)
        return time.monotonic() - send_times[number]

    with ThreadPoolExecutor(SENDERS) as senders:
        return send_times, list(senders.map(one, range(len(requests))))


if __name__ == "__main__":
    main()
