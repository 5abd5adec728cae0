"""The whole service as `make run` starts it, on free ports, for tests that act as its users."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.servers import ROOT, free_ports, process, wait_until

Json = dict[str, Any]
PORTS = {"PORT": 5001, "SANDBOX_PORT": 12111, "RECEIVER_PORT": 5050, "FLOWER_PORT": 5555}


@dataclass(frozen=True)
class Service:
    """The addresses of a running service."""

    ports: dict[str, int]
    log: Path

    def url(self, variable: str = "PORT") -> str:
        """Return the base URL of the process behind a port variable."""
        return f"http://127.0.0.1:{self.ports[variable]}"

    def translated(self, text: str) -> str:
        """Replace the documented ports by those of this run."""
        for variable, documented in PORTS.items():
            text = text.replace(f":{documented}", f":{self.ports[variable]}")
        return text

    def pay(self, method: str, **fields: Any) -> requests.Response:
        """Take a payment."""
        body = {"amount": 1000, "currency": "sgd", "payment_method": method} | fields
        return requests.post(f"{self.url()}/api/payment/process", json=body, timeout=30)

    def notifications(self, **filters: str) -> list[Json]:
        """List the notifications that were received."""
        address = f"{self.url('RECEIVER_PORT')}/notifications"
        items: list[Json] = requests.get(address, params=filters, timeout=5).json()["data"]
        return items

    def notifications_of(self, payment: str, *types: str) -> list[Json]:
        """Wait for notifications of these types about a payment; fail on any other type.

        The fees are left out, except in tests about fees: the sandbox knows them some seconds after
        a payment.
        """

        def all_but_fees() -> list[Json]:
            notifications_of = self.notifications(payment_intent_id=payment)
            return [item for item in notifications_of if item["type"] != "payment.settled"]

        wait_until(lambda: len(all_but_fees()) >= len(types), f"{types} of {payment}")
        items = all_but_fees()
        assert [item["type"] for item in items] == list(types)
        return items


@contextmanager
def service(folder: Path, **environment: str) -> Iterator[Service]:
    """Run `python app.py --sandbox` for the duration of the block, and stop it as Ctrl-C does."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    log = folder / f"service-{ports['PORT']}.log"
    variables = {name: str(port) for name, port in ports.items()} | {
        "DATA_DIR": str(folder / "data"),
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, str(ROOT / "app.py"), "--sandbox"]
    with process(*command, environment=variables | environment, log=log) as running:
        items = Service(ports, log)

        def ready() -> bool:
            assert running.poll() is None, log.read_text()
            return "is ready" in log.read_text()

        wait_until(ready, "the service says that it is ready")
        yield items
        running.terminate()
        until = time.monotonic() + 40
        while running.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
