"""A release under load: API processes and workers are replaced, and no caller notices."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import requests

from tests.e2e.parts import Parts, billing
from tests.servers import wait_until

SHOPPERS = 3


class Shopping:
    """Customers who pay without end and never repeat a request, so that every failure shows."""

    def __init__(self, url: str) -> None:
        self.answers: Counter[int | str] = Counter()
        self.paid: list[str] = []
        self._url = f"{url}/api/payment/process"
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._shop) for _ in range(SHOPPERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, payments: int = 20) -> None:
        """Wait for that many more payments."""
        enough = len(self.paid) + payments
        wait_until(lambda: len(self.paid) >= enough, "shopping goes on")

    def _shop(self) -> None:
        body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
        while not self._enough.is_set():
            try:
                answer = requests.post(self._url, json=body, timeout=20)
            except requests.RequestException as error:
                self.answers[type(error).__name__] += 1
            else:
                self.answers[answer.status_code] += 1
                self.paid.append(answer.json().get("payment_intent_id", "none"))


def replace_worker(parts: Parts, name: str) -> None:
    """Stop a worker as a deploy does and start its successor."""
    parts.processes[name].terminate()
    assert parts.processes[name].wait(30) == 0
    start_worker(parts, f"{name}-new")


def start_worker(parts: Parts, name: str) -> None:
    """Start a worker and wait until it consumes."""
    parts.start(name, "worker")
    wait_until(lambda: "ready." in (parts.folder / f"{name}.log").read_text(), f"{name} is ready")


@pytest.mark.slow
@pytest.mark.timeout(240)  # replaces four processes; about 25 s on a free machine
def test_a_rolling_restart_fails_no_request_and_loses_nothing(
    valkey_url: str, tmp_path: Path
) -> None:
    with billing(tmp_path, valkey_url) as parts:
        start_worker(parts, "worker-2")
        api_log = tmp_path / "api.log"
        with Shopping(parts.url) as shopping:
            shopping.go_on()
            parts.processes["api"].send_signal(signal.SIGHUP)
            replace_worker(parts, "worker")
            replace_worker(parts, "worker-2")
            wait_until(
                lambda: api_log.read_text().count("api_process_stopped") == 2, "the API is new"
            )
            shopping.go_on()
        assert set(shopping.answers) == {200}, shopping.answers
        wait_until(
            lambda: set(shopping.paid) <= set(parts.told("payment.succeeded")),
            "every payment is told",
            60,
        )
        assert Counter(parts.told("payment.succeeded")) == Counter(shopping.paid)
