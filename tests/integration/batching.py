"""Steps of tests of batches: pay for an event, start a batch, run upkeep, read the batch."""

from __future__ import annotations

import time
from typing import Any

from werkzeug.test import TestResponse

from tests.integration.hands import Hands
from tests.loopback import at_stripe, call
from worker import refund_batches

Json = dict[str, Any]
ROUNDS = 200


def pay(hands: Hands, count: int, event_id: str = "evening", **fields: Any) -> list[str]:
    """Take payments for an event and process their events; the fees are not known yet."""
    body = {"metadata": {"event_id": event_id}} | fields
    payments = [hands.pay(**body).get_json()["payment_intent_id"] for _ in range(count)]
    hear(hands)
    return payments


def hear(hands: Hands) -> None:
    """Deliver Stripe's events and process them."""
    hands.deliver_events()
    hands.work()


def start(hands: Hands, key: str | None = None, **body: Any) -> TestResponse:
    """Start a batch."""
    headers = {"Idempotency-Key": key} if key else {}
    return hands.client.post("/api/refund/batches", json=body, headers=headers)


def started(hands: Hands, **body: Any) -> str:
    """Start a batch that is accepted; give its id."""
    answer = start(hands, **body)
    assert answer.status_code == 202, answer.get_json()
    return str(answer.get_json()["batch_id"])


def look(hands: Hands, batch: str) -> Json:
    """Read the batch."""
    answer = hands.client.get(f"/api/refund/batches/{batch}")
    assert answer.status_code == 200, answer.get_json()
    return dict(answer.get_json())


def members(hands: Hands, batch: str, **query: Any) -> list[Json]:
    """List the members of a batch."""
    answer = hands.client.get(f"/api/refund/batches/{batch}/refunds", query_string=query)
    assert answer.status_code == 200, answer.get_json()
    return list(answer.get_json()["data"])


def post(hands: Hands, batch: str, verb: str, body: Json | None = None) -> TestResponse:
    """Pause, resume, cancel or retry."""
    path = f"/api/refund/batches/{batch}/{verb}"
    return hands.client.post(path) if body is None else hands.client.post(path, json=body)


def turn(hands: Hands) -> None:
    """Run upkeep once, and the workers until its work is done."""
    refund_batches.run_once(hands.runtime)
    hands.work()


def run(hands: Hands, batch: str) -> Json:
    """Run upkeep and the workers until the batch changes no more; return it."""
    for _ in range(ROUNDS):
        turn(hands)
        batch_state = look(hands, batch)
        if batch_state["state"] != "running":
            return batch_state
        time.sleep(0.01)
    raise AssertionError(f"the batch does not come to an end: {batch_state}")


def refunded(hands: Hands, payment: str) -> list[int]:
    """List the amounts that Stripe refunded of a payment."""
    url = f"{hands.sandbox}/v1/refunds"
    refunds = at_stripe("GET", url, payment_intent=payment, limit=100)["data"]
    return [refund["amount"] for refund in refunds]


def refund_at_stripe(hands: Hands, payment: str, amount: int) -> Json:
    """Refund a payment in Stripe's dashboard: this service hears of it by events only."""
    url = f"{hands.sandbox}/v1/refunds"
    refund: Json = at_stripe("POST", url, payment_intent=payment, amount=str(amount))
    return refund


def set_balance(hands: Hands, **balance: Any) -> None:
    """Set the balance at the sandbox; from then on it can run out."""
    call("POST", f"{hands.sandbox}/_sandbox/balance", json=balance)


def told_of(hands: Hands, batch: str) -> list[Json]:
    """List the notifications about the batch itself."""
    bodies = [item["body"] for item in hands.notifications()]
    return [body for body in bodies if body["data"]["refund_batch_id"] == batch]
