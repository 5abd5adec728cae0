"""The processes of the service on a given Redis, each of which a test can restart."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests import servers
from tests.conftest import NOTIFICATION_SECRET, SIGNING_SECRET
from tests.servers import free_port, process, wait_until


@dataclass
class Parts:
    """The addresses of the service, and its processes by name."""

    url: str
    receiver: str
    stripe: str
    folder: Path
    environment: dict[str, str]
    stack: ExitStack
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str, module: str) -> subprocess.Popen[str]:
        """Start a process, which ends with the block."""
        log = self.folder / f"{name}.log"
        command = [sys.executable, "-m", module]
        running = process(*command, environment=self.environment, log=log)
        self.processes[name] = self.stack.enter_context(running)
        return self.processes[name]

    def notifications_of(self, kind: str) -> list[str]:
        """List the payments with a notification of this type, in order of their first arrival."""
        items = requests.get(f"{self.receiver}/notifications", timeout=5).json()["data"]
        return [
            item["body"]["data"]["payment_intent_id"]
            for item in items
            if item["type"] == kind and not item["duplicate"]
        ]


@contextmanager
def billing(folder: Path, redis_url: str, **settings: str) -> Iterator[Parts]:
    """Run API, worker, upkeep, sandbox and receiver on the given Redis."""
    port = free_port()
    with ExitStack() as stack:
        hook = f"http://127.0.0.1:{port}/api/webhook"
        stripe = stack.enter_context(
            servers.sandbox(SANDBOX_WEBHOOK_URL=hook, SANDBOX_WEBHOOK_SECRET=SIGNING_SECRET)
        )
        receiver_url = stack.enter_context(
            servers.receiver(EVENT_SERVICE_SECRET=NOTIFICATION_SECRET)
        )
        environment = {
            "REDIS_URL": redis_url,
            "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
            "STRIPE_WEBHOOK_SECRET": SIGNING_SECRET,
            "STRIPE_API_BASE": stripe,
            "EVENT_SERVICE_URL": receiver_url,
            "EVENT_SERVICE_SECRET": NOTIFICATION_SECRET,
            "RECONCILE_INTERVAL_SECONDS": "5",
            "PORT": str(port),
        } | settings
        url = f"http://127.0.0.1:{port}"
        parts = Parts(url, receiver_url, stripe, folder, environment, stack)
        for name, module in (("api", "api"), ("worker", "worker"), ("upkeep", "worker.upkeep")):
            parts.start(name, module)
        wait_until(lambda: _ready(url), "the API is ready")
        yield parts


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/ready", timeout=2).ok
    except requests.RequestException:  # a busy machine may not answer in time
        return False


def pay_as_a_good_client(url: str, number: int) -> str:
    """Repeat a payment under one key until it is answered."""
    body = {"amount": 1000 + number, "currency": "sgd", "payment_method": "pm_card_visa"}
    for _ in range(120):
        try:
            answer = requests.post(
                f"{url}/api/payment/process",
                json=body,
                headers={"Idempotency-Key": f"order-{number}"},
                timeout=20,
            )
        except requests.ConnectionError:
            time.sleep(0.25)
            continue
        if answer.status_code == 200:
            return str(answer.json()["payment_intent_id"])
        assert answer.status_code in (409, 503), answer.text
        time.sleep(0.25)
    raise AssertionError(f"order {number} was never paid")
