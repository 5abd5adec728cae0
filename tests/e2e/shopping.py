"""Customers who pay all the time, for tests that replace processes meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Self

import requests

from tests.servers import wait_until

SHOPPERS = 3


class Shopping:
    """Customers who pay all the time and never repeat a request, so that every failure counts."""

    def __init__(self, url: str, key: str = "") -> None:
        self.answers: Counter[int | str] = Counter()
        self.payment_ids: list[str] = []
        self.key = key
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
        enough = len(self.payment_ids) + payments
        wait_until(lambda: len(self.payment_ids) >= enough, "shopping goes on")

    def _shop(self) -> None:
        body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
        while not self._enough.is_set():
            try:
                headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
                answer = requests.post(self._url, json=body, headers=headers, timeout=20)
            except requests.RequestException as error:
                self.answers[type(error).__name__] += 1
            else:
                self.answers[answer.status_code] += 1
                payment = answer.json().get("payment_intent_id", "none") if answer.ok else "none"
                self.payment_ids.append(payment)
