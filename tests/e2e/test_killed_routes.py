"""The API is killed at a random moment of a request about refunds, which then is repeated.

`KILLS=100 pytest -s tests/e2e/test_killed_routes.py` kills more often and prints what it saw.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.e2e.parts import Parts, billing
from tests.e2e.test_killed_api import KEY, kill_the_api
from tests.servers import wait_until

Json = dict[str, Any]
OPERATOR = {"Authorization": "Bearer operator-key"}
BATCHES = "/api/refund/batches"
REFUNDS = {"method": "POST", "path_prefix": "/v1/refunds"}
# Seconds within which such a request is answered; the kill comes at any moment of them.
LONGEST_SECONDS = 0.04
IN_USE = "idempotency_key_in_use"


@dataclass
class Shop:
    """A service whose API is killed, and what was seen of it."""

    parts: Parts
    dice: random.Random
    event: str = ""
    batch: str = ""
    figures: Counter[str] = field(default_factory=Counter)

    def call(self, path: str, key: str = "", **body: Any) -> requests.Response:
        headers = OPERATOR | ({"Idempotency-Key": key} if key else {})
        return requests.post(f"{self.parts.url}{path}", json=body, headers=headers, timeout=30)

    def get(self, path: str, **query: str) -> Json:
        answer = requests.get(f"{self.parts.url}{path}", params=query, headers=OPERATOR, timeout=30)
        answer.raise_for_status()
        page: Json = answer.json()
        return page

    def pay(self, count: int) -> list[str]:
        body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
        body |= {"metadata": {"event_id": self.event}}
        answers = [self.call("/api/payment/process", **body) for _ in range(count)]
        payments = [str(answer.json()["payment_intent_id"]) for answer in answers]
        wait_until(lambda: self._has_heard_of(payments), "the payments to be known")
        return payments

    def _has_heard_of(self, payments: list[str]) -> bool:
        return set(payments) <= set(self.parts.notifications_of("payment.succeeded"))

    def begin(self, verb: str = "") -> None:
        """Start a batch of the event, and change its state."""
        self.batch = self.call(BATCHES, event_id=self.event).json()["batch_id"]
        if verb:
            assert self.call(f"{BATCHES}/{self.batch}/{verb}").ok

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """Freeze the worker, so that no batch advances."""
        worker = psutil.Process(self.parts.processes["worker"].pid)
        worker.suspend()
        try:
            yield
        finally:
            worker.resume()

    def disturb(self, **fault: Any) -> None:
        faults = f"{self.parts.stripe}/_sandbox/faults"
        body = {"match": REFUNDS, "times": 1} | fault
        requests.post(faults, json=body, timeout=5).raise_for_status()

    def counts(self) -> Json:
        counts: Json = self.get(f"{BATCHES}/{self.batch}")["counts"]
        return counts

    def refunds(self, payment: str) -> list[int]:
        answer = requests.get(
            f"{self.parts.stripe}/v1/refunds",
            params={"payment_intent": payment},
            headers=KEY,
            timeout=10,
        )
        return [one["amount"] for one in answer.json()["data"]]

    def audited(self, kind: str) -> int:
        entries = self.get("/ops/audit", limit="1000")["data"]
        return sum((one["kind"], one["id"]) == (kind, self.batch) for one in entries)

    def ask_and_kill(self, ask: Callable[[], requests.Response]) -> Json:
        """Send a request, kill the API, and repeat the request until it is answered for good."""

        def ask_once() -> None:
            try:
                self.figures[f"answered {ask().status_code}"] += 1
            except requests.ConnectionError:
                self.figures["cut off"] += 1

        caller = threading.Thread(target=ask_once)
        caller.start()
        time.sleep(self.dice.uniform(0, LONGEST_SECONDS))
        kill_the_api(self.parts)
        caller.join()
        self.parts.start("api", "api")
        first = wait_until(lambda: self._final(ask), "a final answer")
        again = ask()
        assert again.content == first.content
        assert again.headers["Idempotent-Replayed"] == "true"
        body: Json = first.json()
        return body

    def _final(self, ask: Callable[[], requests.Response]) -> requests.Response | None:
        try:
            answer = ask()
        except requests.ConnectionError:
            return None
        if answer.ok:
            return answer
        self.figures["repeated while it was held"] += 1
        assert answer.json()["code"] == IN_USE, answer.text
        return None

    def turn_and_kill(self, verb: str, **body: Any) -> Json:
        path = f"{BATCHES}/{self.batch}/{verb}"
        return self.ask_and_kill(lambda: self.call(path, "the same", **body))


def starts(shop: Shop) -> None:
    payments = shop.pay(2)
    answer = shop.ask_and_kill(lambda: shop.call(BATCHES, shop.event, event_id=shop.event))
    (batch,) = shop.get(BATCHES, event_id=shop.event)["data"]
    shop.batch = batch["batch_id"]
    assert answer["batch_id"] == shop.batch
    wait_until(lambda: shop.counts()["refunded"] == 2, "both refunds")
    assert [shop.refunds(one) for one in payments] == [[1000], [1000]]
    assert shop.audited("refund_batch_started") == 1


def pauses(shop: Shop) -> None:
    shop.pay(2)
    with shop.without_worker():
        shop.begin()
        assert shop.turn_and_kill("pause")["state"] == "paused"
    assert shop.audited("refund_batch_pause") == 1


def resumes(shop: Shop) -> None:
    shop.pay(2)
    with shop.without_worker():
        shop.begin("pause")
    shop.turn_and_kill("resume")
    wait_until(lambda: shop.counts()["refunded"] == 2, "both refunds")
    assert shop.audited("refund_batch_resume") == 1


def cancels(shop: Shop) -> None:
    shop.pay(2)
    with shop.without_worker():
        shop.begin("pause")
    assert shop.turn_and_kill("cancel")["state"] == "canceled"
    assert shop.audited("refund_batch_cancel") == 1


def retries(shop: Shop) -> None:
    (payment,) = shop.pay(1)
    shop.disturb(kind="error", status=400)
    shop.begin()
    wait_until(lambda: shop.counts()["failed"] == 1, "the refusal")
    shop.turn_and_kill("retry")
    wait_until(lambda: shop.counts()["refunded"] == 1, "the refund")
    assert shop.refunds(payment) == [1000]
    assert shop.audited("refund_batch_retry") == 1


def retries_late(shop: Shop) -> None:
    shop.pay(1)
    shop.disturb(kind="delay", delay_seconds=2)
    shop.begin()
    (late,) = shop.pay(1)
    wait_until(lambda: shop.counts()["late"] == 1, "the late payment")
    shop.turn_and_kill("retry", include=["late"])
    wait_until(lambda: shop.counts()["refunded"] == 2, "both refunds")
    assert shop.refunds(late) == [1000]
    assert shop.audited("refund_batch_retry") == 1


def refunds_one(shop: Shop) -> None:
    (payment,) = shop.pay(1)
    body = {"payment_intent_id": payment, "amount": 400}
    shop.ask_and_kill(lambda: shop.call("/api/refund/process", shop.event, **body))
    wait_until(lambda: shop.refunds(payment), "the refund")
    wait_until(lambda: payment in shop.parts.notifications_of("refund.succeeded"), "its end")
    assert shop.refunds(payment) == [400]


ROUTES = (starts, pauses, resumes, cancels, retries, retries_late, refunds_one)
KILLS = int(os.environ.get("KILLS", len(ROUTES)))


@pytest.mark.long
def test_a_request_has_one_effect_however_often_the_api_is_killed(
    valkey_url: str, tmp_path: Path
) -> None:
    seed = random.randrange(10**6) if "KILLS" in os.environ else 1
    with billing(tmp_path, valkey_url, OPERATOR_KEYS="kim:operator-key") as parts:
        shop = Shop(parts, random.Random(seed))
        for number in range(KILLS):
            shop.event = f"event-{number}"
            ROUTES[number % len(ROUTES)](shop)
    sys.stdout.write(f"seed {seed}, {KILLS} kills: {dict(shop.figures)}\n")
    assert shop.figures["answered 500"] == 0
