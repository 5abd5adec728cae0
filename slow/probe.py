"""The latency and failures of an ordinary caller of each class, measured continuously."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import requests

from chaos.stage import WEBHOOK_SECRET

# Seconds after which a request counts as failed.
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.05
OK = 200


@dataclass
class Answers:
    """The results of one probe: the seconds of each request, and the reasons of failures."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """Return the 99th percentile of all answers, failures included, in seconds."""
        ordered_times = sorted(self.seconds)
        return ordered_times[int(len(ordered_times) * 0.99)] if ordered_times else PATIENCE_SECONDS

    def __str__(self) -> str:
        """Show p99 in milliseconds, and the number of failures."""
        failed = f", {len(self.failures)} of {len(self.seconds)} failed" if self.failures else ""
        return f"{self.p99 * 1000:.0f} ms{failed}"


class Probes:
    """Reads health, sends a webhook, pays and scrapes, each repeatedly in a thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._end = threading.Event()
        asks: dict[str, Callable[[], requests.Response]] = {
            "health": self._health,
            "webhook": self._webhook,
            "payment": self._payment,
            "metrics": self._metrics,
        }
        self.answers = {name: Answers() for name in asks}
        self._threads = [
            threading.Thread(target=self._ask, args=(self.answers[name], ask), daemon=True)
            for name, ask in asks.items()
        ]

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Stop, after the last request of each thread is answered."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, answers: Answers, ask: Callable[[], requests.Response]) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            answer = status(ask)
            answers.seconds.append(time.monotonic() - began)
            if answer != OK:
                answers.failures.append(str(answer))
            time.sleep(PAUSE_SECONDS)

    def _health(self) -> requests.Response:
        return requests.get(f"{self._url}/health", timeout=PATIENCE_SECONDS)

    def _metrics(self) -> requests.Response:
        return requests.get(f"{self._url}/metrics", timeout=PATIENCE_SECONDS)

    def _payment(self) -> requests.Response:
        return pay(self._url, "ordinary")

    def _webhook(self) -> requests.Response:
        body = json.dumps(event()).encode()
        headers = {"Stripe-Signature": sign(body), "Content-Type": "application/json"}
        url = f"{self._url}/api/webhook"
        return requests.post(url, body, headers=headers, timeout=PATIENCE_SECONDS)


def status(ask: Callable[[], requests.Response]) -> int | str:
    """Send a request, again while the connection is refused; return its status or its error.

    A refused connection is no failure, because the request was not sent; its time counts.
    """
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask().status_code
        except requests.RequestException as error:
            if "Connection refused" not in str(error) or time.monotonic() > give_up_at:
                return type(error).__name__
            time.sleep(PAUSE_SECONDS)


def pay(url: str, description: str) -> requests.Response:
    """Make a payment."""
    body = {
        "amount": 1000,
        "currency": "sgd",
        "payment_method": "pm_card_visa",
        "description": description,
    }
    return requests.post(f"{url}/api/payment/process", json=body, timeout=PATIENCE_SECONDS)


def event() -> dict[str, object]:
    """Build a new event."""
    mark = secrets.token_hex(8)
    return {
        "id": f"evt_{mark}",
        "object": "event",
        "type": "payment_intent.created",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": {"id": f"pi_{mark}", "object": "payment_intent", "amount": 1000}},
    }


def sign(body: bytes) -> str:
    """Return Stripe's signature of a body."""
    stamp = int(time.time())
    mac = hmac.new(WEBHOOK_SECRET.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    return f"t={stamp},v1={mac}"
