"""The traffic: customers who pay, authenticate and want their money back, and insist on an answer.

What a customer does follows from the seed and the customer's number alone. Each keeps a record of
what was asked and answered; the audit holds it against Stripe's books.
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
# What a card does at the sandbox, and how often it is used.
CARDS = {
    "pm_card_visa": 68,
    "pm_card_chargeDeclined": 8,
    "pm_card_createDispute": 8,
    "pm_card_threeDSecure2Required": 6,
    "pm_card_pendingRefund": 5,
    "pm_card_refundFail": 5,
}
# What a customer who paid wants back, in parts of the amount: 1.5 is more than there is.
REFUNDS: dict[tuple[float, ...], int] = {(): 40, (1.0,): 30, (0.3, 0.3): 22, (1.5,): 8}
IMPATIENT = 0.1  # of the customers click twice
AUTHENTICATED = 0.7  # of those who are asked pass 3D Secure
ACCEPTED, NOT_FOUND = 202, 404
FINAL = (200, 202, 400, 402, 404, 422)
# A client that waits as long as `Retry-After` says would spend the run waiting.
LONGEST_PAUSE_SECONDS = 1.0
REQUEST_LIMIT_SECONDS = 20.0
WAIT_SECONDS = 0.2  # at the door, between two looks


@dataclass
class Request:
    """One thing asked for under one idempotency key, and every answer that came."""

    key: str
    path: str
    body: Json
    answers: list[tuple[int, Json]] = field(default_factory=list)
    tries: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def answer(self) -> tuple[int, Json] | None:
        """Give the first final answer, None while there is none."""
        return self.answers[0] if self.answers else None


@dataclass
class Ledger:
    """All that customers asked for; written by many threads, each to its own requests."""

    payments: list[Request] = field(default_factory=list)
    refunds: list[Request] = field(default_factory=list)


class Customers:
    """Threads of customers, one after the other in each, until told to stop."""

    def __init__(self, api: str, sandbox: str, seed: int, threads: int) -> None:
        self.ledger = Ledger()
        self._api, self._sandbox, self._seed = api, sandbox, seed
        self._numbers: Queue[int] = Queue()
        self._stop = threading.Event()
        self._open = threading.Event()
        self._give_up = threading.Event()
        self._threads = [threading.Thread(target=self._serve) for _ in range(threads)]

    def start(self) -> None:
        """Open the doors."""
        self._open.set()
        for number in range(len(self._threads)):
            self._numbers.put(number)
        for thread in self._threads:
            thread.start()

    def admit(self, yes: bool) -> None:  # reads as a sentence
        """Let customers in, or have the next ones wait."""
        if yes:
            self._open.set()
        else:
            self._open.clear()

    def close(self, patience_seconds: float) -> None:
        """Let nobody in any more, and wait until all who are inside have their answers."""
        self._stop.set()
        give_up_at = time.monotonic() + patience_seconds
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))
        self._give_up.set()
        for thread in self._threads:
            thread.join()

    def look_after_refunds(self) -> None:
        """Look at every refund that was accepted; ask again, same key, where nobody knows of it.

        A refund job that was accepted and not yet run is lost with the store's data; Stripe never
        heard of it, so nothing but its customer can bring it back.
        """
        for refund in self.ledger.refunds:
            status, answer = refund.answer or (0, {})
            if status == ACCEPTED:
                url = f"{self._api}/api/refund/{answer['refund_request_id']}"
                known = requests.get(url, timeout=REQUEST_LIMIT_SECONDS)
                if known.status_code == NOT_FOUND:
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
        assert payment.answer is not None  # noqa: S101  # who paid has an answer
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
        """Insist on an answer, at times twice at once, as a double click does."""
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
                self._refused(request, "no_answer", 0.2)
                continue
            if answer.status_code in FINAL:
                request.answers.append((answer.status_code, _json(answer)))
                return
            self._refused(request, str(answer.status_code), _pause(answer))

    def _refused(self, request: Request, why: str, pause_seconds: float) -> None:
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
