"""The API dies between Stripe's answer and its own: the same key returns the first payment."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.e2e.parts import Parts, billing, pay_as_a_good_client
from tests.servers import wait_until

KEY = {"Authorization": "Bearer sk_test_tests_0123456789"}


def payments_at_stripe(parts: Parts) -> list[dict[str, Any]]:
    """List the payment intents that Stripe made."""
    answer = requests.get(f"{parts.stripe}/v1/payment_intents", headers=KEY, timeout=10)
    payments: list[dict[str, Any]] = answer.json()["data"]
    return payments


def kill_the_api(parts: Parts) -> None:
    """Kill the server and all its processes, as a power cut does.

    The server goes first: it replaces a child that dies, and the new one would keep the port.
    """
    server = psutil.Process(parts.processes["api"].pid)
    family = [server, *server.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)


@pytest.mark.long
def test_the_retry_after_a_kill_gives_the_first_payment(valkey_url: str, tmp_path: Path) -> None:
    with billing(tmp_path, valkey_url) as parts:
        slow_answer = {
            "match": {"method": "POST", "path_prefix": "/v1/payment_intents"},
            "phase": "after",
            "kind": "delay",
            "delay_seconds": 8,
            "times": 1,
        }
        faults = f"{parts.stripe}/_sandbox/faults"
        requests.post(faults, json=slow_answer, timeout=5).raise_for_status()
        broken: list[str] = []

        def pay_once() -> None:
            body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
            try:
                requests.post(
                    f"{parts.url}/api/payment/process",
                    json=body,
                    headers={"Idempotency-Key": "order-0"},
                    timeout=30,
                )
            except requests.ConnectionError as error:
                broken.append(type(error).__name__)

        customer = threading.Thread(target=pay_once)
        customer.start()
        wait_until(lambda: payments_at_stripe(parts), "Stripe made the payment")
        kill_the_api(parts)
        customer.join()
        assert broken, "the customer must have heard nothing"

        parts.start("api-again", "api")
        answer = pay_as_a_good_client(parts.url, 0)
        (payment,) = payments_at_stripe(parts)
        assert answer == payment["id"]
        wait_until(
            lambda: parts.notifications_of("payment.succeeded") == [answer], "it is told once"
        )
