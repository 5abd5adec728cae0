"""`make demo`: a client of a running `make run`, which makes payments and shows their results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from dotenv import dotenv_values

from shared.bearer_keys import first_secret
from shared.hosts import local_url

Json = dict[str, Any]

# Test cards from Stripe's documentation.
CARDS = {
    "succeeds": "4242424242424242",
    "insufficient funds": "4000000000009995",
    "requires 3D Secure": "4000000000003220",
    "is disputed": "4000000000000259",
}
CALL_SECONDS = 35.0  # one call; Prefer: wait=20 answers within 20
PATIENCE_SECONDS = 30.0  # for work that the service does in the background; usually under one
POLL_SECONDS = 0.1  # between two reads
DAYS_OFF = 365  # the card must not have expired when the demo runs
SECONDS_OF_A_DAY = 86_400


class DemoFailed(Exception):
    """Something did not happen as the README says; the message names it."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of the running service."""

    api: str
    stripe: str
    stripe_key: str
    event_service: str
    api_key: str | None


def main() -> int:
    """Run the demonstration and return the exit status."""
    try:
        perform(_addresses())
    except DemoFailed as failure:
        sys.stdout.flush()
        sys.stderr.write(f"\n{failure}\n")
        return 1
    return 0


def perform(where: Addresses) -> None:
    """Pay, be declined, authenticate, refund and dispute; raises `DemoFailed` when a step fails."""
    demo = _Demo(where)
    demo.be_declined()
    demo.authenticate()
    demo.be_disputed()
    payment = demo.pay()
    demo.refund_a_part(payment)
    demo.show_timeline(payment)
    demo.show_notifications()


class _Demo:
    def __init__(self, where: Addresses) -> None:
        self._where = where
        self._http = requests.Session()
        if where.api_key:
            self._http.headers["Authorization"] = f"Bearer {where.api_key}"
        self._payments: list[str] = []

    def pay(self) -> str:
        _title("A payment of SGD 10.00 with 4242 4242 4242 4242")
        answer = self._process("succeeds")
        _expect(answer.get("status") == "succeeded", "the payment to succeed", answer)
        payment = str(answer["payment_intent_id"])
        _say(f"succeeded: {payment}")
        self._await_notification(payment, "payment.succeeded")
        return payment

    def be_declined(self) -> None:
        _title("A card with insufficient funds, 4000 0000 0000 9995")
        answer = self._process("insufficient funds")
        _expect(answer.get("decline_code") == "insufficient_funds", "a decline", answer)
        _say(f"402, {answer['code']}, {answer['decline_code']}: “{answer['detail']}”")
        self._await_notification(str(answer["payment_intent_id"]), "payment.failed")

    def authenticate(self) -> None:
        _title("A card that requires 3D Secure, 4000 0000 0000 3220")
        answer = self._process("requires 3D Secure")
        _expect(bool(answer.get("requires_action")), "the payment to require 3D Secure", answer)
        payment = str(answer["payment_intent_id"])
        _say(f"requires action: the customer must authenticate with the bank ({payment})")
        path = f"/_sandbox/payment_intents/{payment}/authenticate"
        self._call("POST", self._where.stripe + path, json={"outcome": "complete"})
        _say("the customer completes the challenge")
        self._await_notification(payment, "payment.succeeded")
        verdict = self._call(
            "POST",
            f"{self._where.api}/api/payment/verify",
            json={"payment_intent_id": payment, "expected_amount": 1000},
        )
        _expect(verdict.get("verified") is True, "the payment to be verified", verdict)
        _say(f"verified: {verdict['status']}, amount and currency as expected")

    def be_disputed(self) -> None:
        _title("A payment that its cardholder disputes, 4000 0000 0000 0259")
        answer = self._process("is disputed")
        _expect(answer.get("status") == "succeeded", "the payment to succeed", answer)
        payment = str(answer["payment_intent_id"])
        _say(f"succeeded: {payment}")
        self._await_notification(payment, "dispute.opened")

    def refund_a_part(self, payment: str) -> None:
        _title("A refund of SGD 3.00")
        refund = self._call(
            "POST",
            f"{self._where.api}/api/refund/process",
            json={
                "payment_intent_id": payment,
                "amount": 300,
                "reason": "requested_by_customer",
            },
            headers={"Prefer": "wait=20"},
        )
        _expect(refund.get("status") == "succeeded", "the refund to succeed", refund)
        _say(f"succeeded: {refund['refund_id']} (refund job {refund['refund_request_id']})")
        self._await_notification(payment, "refund.succeeded")

    def show_timeline(self, payment: str) -> None:
        _title(f"The timeline of {payment}, from GET /api/payment/…")
        details = self._call("GET", f"{self._where.api}/api/payment/{payment}")
        _say(
            f"{details['status']}, received {details['amount_received']}, "
            f"refunded {details['amount_refunded']} {details['currency']}"
        )
        for entry in details["timeline"]:
            names = ("type", "outcome", "status", "source")
            facts = " ".join(str(entry[name]) for name in names if entry.get(name) is not None)
            _say(f"{str(entry['at'])[11:23]}  {entry['kind']:<20} {facts}")

    def show_notifications(self) -> None:
        _title("Notifications that the event service received")
        for payment in self._payments:
            for entry in self._notifications(payment):
                body = entry["body"]
                _say(
                    f"{body['type']:<26} #{body['sequence']:<2} {payment[:14]}…  "
                    f"signature {entry['signature']}, answered {entry['answered']}"
                )

    def _process(self, card: str) -> Json:
        method = self._call(
            "POST",
            f"{self._where.stripe}/v1/payment_methods",
            data={
                "type": "card",
                "card[number]": CARDS[card],
                "card[exp_month]": "12",
                "card[exp_year]": str(_next_year()),
                "card[cvc]": "123",
            },
            headers={"Authorization": f"Bearer {self._where.stripe_key}"},
        )
        answer = self._call(
            "POST",
            f"{self._where.api}/api/payment/process",
            json={
                "amount": 1000,
                "currency": "sgd",
                "payment_method": method["id"],
                "description": f"Demo: a card that {card}",
                "metadata": {"event_id": "demo_123"},
            },
        )
        if "payment_intent_id" in answer:
            self._payments.append(str(answer["payment_intent_id"]))
        return answer

    def _await_notification(self, payment: str, kind: str) -> None:
        def arrivals() -> list[Json]:
            return [entry for entry in self._notifications(payment) if entry["type"] == kind]

        result = _wait_for(arrivals)
        _expect(bool(result), f"the event service to receive {kind}", {"payment": payment})
        verdict = result[0]["signature"]
        _expect(verdict == "valid", "the notification's signature to be valid", result[0])
        _say(f"the event service received {kind} (signature {verdict})")

    def _notifications(self, payment: str) -> list[Json]:
        answer = self._call(
            "GET",
            f"{self._where.event_service}/notifications",
            params={"payment_intent_id": payment},
        )
        return list(answer["data"])

    def _call(self, method: str, url: str, **options: Any) -> Json:
        try:
            response = self._http.request(method, url, timeout=CALL_SECONDS, **options)
        except requests.ConnectionError:
            raise DemoFailed(
                f"Nothing answers at {url}.\nStart the service first, in another window: make run"
            ) from None
        try:
            answer: Json = response.json()
        except ValueError:
            raise DemoFailed(f"{method} {url} answered {response.status_code}, not JSON") from None
        return answer


def _addresses() -> Addresses:
    """Find the running service: from the file in its data directory, or at the default ports."""
    run_file = Path(os.environ.get("DATA_DIR") or ".data") / "run.env"
    variables = {**dotenv_values(run_file), **os.environ}

    def at(variable: str, usual: int) -> str:
        return f"http://127.0.0.1:{variables.get(variable) or usual}"

    return Addresses(
        api=local_url(variables.get("HOST") or "127.0.0.1", variables.get("PORT") or 5001),
        stripe=at("SANDBOX_PORT", 12111),
        stripe_key="sk_test_demo",
        event_service=at("RECEIVER_PORT", 5050),
        api_key=first_secret(variables.get("API_KEYS") or ""),
    )


def _wait_for(look: Callable[[], list[Json]]) -> list[Json]:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (result := look()) and time.monotonic() < give_up_at:
        time.sleep(POLL_SECONDS)
    return result


def _next_year() -> int:
    return time.gmtime(time.time() + DAYS_OFF * SECONDS_OF_A_DAY).tm_year


def _expect(holds: bool, what: str, answer: Json) -> None:
    if not holds:
        raise DemoFailed(f"Expected {what}, got: {answer}")


def _title(text: str) -> None:
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
