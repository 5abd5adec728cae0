"""The traffic: customers who pay, authenticate, request refunds, and repeat their requests.

The seed and the customer's number determine what a customer does. Requests and answers are
recorded, and the audit compares them with Stripe's books.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from queue import Empty, Queue
from random import Random
from typing import Any

import requests

Json = dict[str, Any]
# The behaviour of each card at the sandbox, and how often it is used.
CARDS = {
    "pm_card_visa": 68,
    "pm_card_chargeDeclined": 8,
    "pm_card_createDispute": 8,
    "pm_card_threeDSecure2Required": 6,
    "pm_card_pendingRefund": 5,
    "pm_card_refundFail": 5,
}
# The refunds that a customer requests, as shares of the amount: 1.5 is more than was paid.
REFUNDS: dict[tuple[float, ...], int] = {(): 40, (1.0,): 30, (0.3, 0.3): 22, (1.5,): 8}
IMPATIENT = 0.1  # of the customers click twice
AUTHENTICATED = 0.7  # of the customers with 3D Secure pass it
ACCEPTED, NOT_FOUND = 202, 404
FINAL = (200, 202, 400, 402, 404, 422)
# Seconds: with the full `Retry-After` a client would wait for most of the run.
LONGEST_PAUSE_SECONDS = 1.0
REQUEST_LIMIT_SECONDS = 20.0
WAIT_SECONDS = 0.2  # between two checks of new customers


@dataclass
class Request:
    """One request under one idempotency key, and all answers to it."""

    key: str
    path: str
    body: Json
    answers: list[tuple[int, Json]] = field(default_factory=list)
    tries: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def answer(self) -> tuple[int, Json] | None:
        """Return the first final answer; None while there is none."""
        return self.answers[0] if self.answers else None


@dataclass
class Ledger:
    """All requests of customers; many threads write to it, each its own requests."""

    payments: list[Request] = field(default_factory=list)
    refunds: list[Request] = field(default_factory=list)


class Customers:
    """Threads of customers, one customer after the other in each, until they are stopped."""

    def __init__(self, api: str, sandbox: str, seed: int, threads: int) -> None:
        self.ledger = Ledger()
        self._api, self._sandbox, self._seed = api, sandbox, seed
        self._numbers: Queue[int] = Queue()
        self._stop = threading.Event()
        self._open = threading.Event()
        self._give_up = threading.Event()
        self._threads = [threading.Thread(target=self._serve) for _ in range(threads)]

    def start(self) -> None:
        """Start the threads."""
        self._open.set()
        for number in range(len(self._threads)):
            self._numbers.put(number)
        for thread in self._threads:
            thread.start()

    def admit(self, yes: bool) -> None:  # reads as a sentence
        """Let customers begin, or make the next ones wait."""
        if yes:
            self._open.set()
        else:
            self._open.clear()

    def close(self, patience_seconds: float) -> None:
        """Start no more customers, and wait until all current ones have their answers."""
        self._stop.set()
        give_up_at = time.monotonic() + patience_seconds
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))
        self._give_up.set()
        for thread in self._threads:
            thread.join()

    def look_after_refunds(self) -> None:
        """Read every accepted refund; repeat the request with the same key when it is unknown.

        A refund job that had not run is lost with Redis's data, and Stripe does not know it, so
        only its customer can bring it back.
        """
        for refund in self.ledger.refunds:
            status, answer = refund.answer or (0, {})
            if status == ACCEPTED:
                url = f"{self._api}/api/refund/{answer['refund_request_id']}"
                response = requests.get(url, timeout=REQUEST_LIMIT_SECONDS)
                if response.status_code == NOT_FOUND:
                    self._give_up.clear()
                    self._insist(requests, refund)

    def _serve(self) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                try:
                    number = self._numbers.get(timeout=0.1)
                except Empty:
                    continue
                self._numbers.put(number + len(self._threads))
                while not self._open.wait(WAIT_SECONDS) and not self._stop.is_set():
                    continue
                self._shop(session, number)

    def _shop(self, session: requests.Session, number: int) -> None:
        dice = Random(f"{self._seed}:{number}")
        card = dice.choices(list(CARDS), list(CARDS.values()))[0]
        amount = dice.randrange(500, 20_000)
        order = f"order-{self._seed}-{number}"
        body = {
            "amount": amount,
            "currency": dice.choice(("sgd", "eur", "usd")),
            "payment_method": card,
            "metadata": {"event_id": str(number % 50), "user_id": f"u{number}", "order": order},
        }
        payment = Request(order, "/api/payment/process", body)
        self.ledger.payments.append(payment)
        self._ask(session, payment, twice=dice.random() < IMPATIENT)
        status, answer = payment.answer or (0, {})
        if answer.get("requires_action"):
            outcome = "complete" if dice.random() < AUTHENTICATED else "fail"
            self._authenticate(session, answer["payment_intent_id"], outcome)
        parts = dice.choices(list(REFUNDS), list(REFUNDS.values()))[0]
        if status == 200 and answer.get("success"):  # noqa: PLR2004 - an HTTP status
            self._want_back(session, payment, parts, dice)

    def _want_back(
        self, session: requests.Session, payment: Request, parts: tuple[float, ...], dice: Random
    ) -> None:
        assert payment.answer is not None  # noqa: S101  # a payment that succeeded has an answer
        for number, part in enumerate(parts):
            key = f"{payment.key}-back-{number}"
            body = {
                "payment_intent_id": payment.answer[1]["payment_intent_id"],
                "amount": int(payment.body["amount"] * part),
                "metadata": {"return": key},
            }
            refund = Request(key, "/api/refund/process", body)
            self.ledger.refunds.append(refund)
            self._ask(session, refund, twice=dice.random() < IMPATIENT)

    def _ask(self, session: requests.Session, request: Request, *, twice: bool) -> None:
        """Repeat a request until it is answered; sometimes send it twice, like a double click."""
        if not twice:
            return self._insist(session, request)
        other = threading.Thread(target=self._insist, args=(requests, request))
        other.start()
        self._insist(session, request)
        return other.join()

    def _insist(self, session: Any, request: Request) -> None:
        while not self._give_up.is_set():
            request.tries += 1
            try:
                answer = session.post(
                    self._api + request.path,
                    json=request.body,
                    headers={"Idempotency-Key": request.key},
                    timeout=REQUEST_LIMIT_SECONDS,
                )
            except requests.RequestException:
                self._note_refusal(request, "no_answer", 0.2)
                continue
            if answer.status_code in FINAL:
                request.answers.append((answer.status_code, _json(answer)))
                return
            self._note_refusal(request, str(answer.status_code), _pause(answer))

    def _note_refusal(self, request: Request, why: str, pause_seconds: float) -> None:
        request.refused[why] = request.refused.get(why, 0) + 1
        self._give_up.wait(pause_seconds)

    def _authenticate(self, session: requests.Session, payment_id: str, outcome: str) -> None:
        url = f"{self._sandbox}/_sandbox/payment_intents/{payment_id}/authenticate"
        session.post(url, json={"outcome": outcome}, timeout=REQUEST_LIMIT_SECONDS)


def _json(answer: requests.Response) -> Json:
    try:
        body: Json = answer.json()
    except ValueError:
        return {}
    return body


def _pause(answer: requests.Response) -> float:
    seconds = float(answer.headers.get("Retry-After", "1"))
    return min(seconds, LONGEST_PAUSE_SECONDS)
