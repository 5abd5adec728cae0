"""Measure ordinary payments and webhooks at a steady pace.

They are measured in turns: while a batch runs, and while it is paused. So both are measured with
the same processes and data, and other load of the machine affects both alike.

Beside them, calls go straight to the sandbox, which here shares the processors with the service and
answers the batch too: they show how much slower Stripe itself was.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import requests
import stripe

from chaos.processor import Use, uses
from chaos.stage import WEBHOOK_SECRET, Stage

Json = dict[str, Any]
ALONE, BESIDE = "alone", "beside"
# Requests per second: those of a busy evening, which are no load.
PACES_SECONDS = {"payments": 0.2, "webhooks": 0.1, "stripe": 0.2}
CALL_SECONDS = 30.0
SECRET_KEY = {"Authorization": "Bearer sk_test_chaos"}
# Seconds of a turn, and seconds after a pause in which refunds that had begun are notified.
TURN_SECONDS = 20.0
CALM_SECONDS = 3.0
PAYMENT = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Beside:
    """Sends traffic in its own threads from the first measurement to the last."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._numbers = itertools.count()
        self._stop = threading.Event()
        # The current turn; None while nothing is measured.
        self._turn: str | None = None
        self._turned_at = 0.0
        self._calm_since: float | None = None
        self._used: dict[str, Use] = {}
        self._seconds: dict[str, float] = defaultdict(float)
        self._processor: dict[str, dict[str, Use]] = {
            ALONE: defaultdict(Use),
            BESIDE: defaultdict(Use),
        }
        self._times: dict[str, dict[str, list[float]]] = {
            name: {ALONE: [], BESIDE: []} for name in PACES_SECONDS
        }
        sends = {"payments": self._pay, "webhooks": self._post_event, "stripe": self._call_stripe}
        self._threads = [
            threading.Thread(target=self._send, args=(name, send)) for name, send in sends.items()
        ]

    def begin(self) -> None:
        """Measure one turn alone, then let the batch begin."""
        for thread in self._threads:
            thread.start()
        time.sleep(CALM_SECONDS)
        self._turn_to(ALONE)
        time.sleep(TURN_SECONDS)
        self._turn_to(BESIDE)

    def look(self, batch: Json) -> str | None:
        """Return what to do with the batch now, `pause` or `resume`; None for nothing."""
        over = time.monotonic() - self._turned_at > TURN_SECONDS
        if self._turn is None:
            self._wait_for_calm(batch)
        elif over and self._turn == BESIDE:
            self._turn_to(None)
            return "pause"
        elif over:
            self._turn_to(BESIDE)
            return "resume"
        return None

    def _wait_for_calm(self, batch: Json) -> None:
        """Begin to measure alone when the refunds that had begun have ended and are notified."""
        if batch["counts"]["begun"]:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = time.monotonic()
        elif time.monotonic() - self._calm_since > CALM_SECONDS:
            self._turn_to(ALONE)

    def _turn_to(self, turn: str | None) -> None:
        """End the turn and begin the next."""
        now, used = time.monotonic(), uses(self._stage)
        if self._turn is not None:
            self._seconds[self._turn] += now - self._turned_at
            for role, use in used.items():
                self._processor[self._turn][role] += use - self._used.get(role, Use())
        self._turn, self._turned_at, self._used, self._calm_since = turn, now, used, None

    def figures(self) -> Json:
        """Stop, and return the percentiles of both kinds, alone and beside the batch, in ms.

        Also each process's use of a processor and its wait for one, in percent of the time.
        """
        self._turn_to(None)
        self._stop.set()
        for thread in self._threads:
            thread.join()
        figures: Json = {name: _comparison(times) for name, times in self._times.items()}
        figures["processor"] = {turn: self._shares(turn) for turn in (ALONE, BESIDE)}
        return figures

    def _shares(self, turn: str) -> Json:
        percent = 100 / self._seconds[turn]
        return {
            role: f"{use.ran * percent:.1f} % ran, {use.waited * percent:.1f} % waited"
            for role, use in sorted(self._processor[turn].items())
        }

    def _send(self, name: str, send: Callable[[], None]) -> None:
        pace = PACES_SECONDS[name]
        while not self._stop.is_set():
            turn, began_at = self._turn, time.perf_counter()
            send()
            took = time.perf_counter() - began_at
            if turn is not None:
                self._times[name][turn].append(took)
            self._stop.wait(max(0.0, pace - took))

    def _pay(self) -> None:
        url = f"{self._stage.api}/api/payment/process"
        requests.post(url, json=PAYMENT, timeout=CALL_SECONDS).raise_for_status()

    def _call_stripe(self) -> None:
        url = f"{self._stage.sandbox}/v1/balance"
        requests.get(url, headers=SECRET_KEY, timeout=CALL_SECONDS).raise_for_status()

    def _post_event(self) -> None:
        """Deliver an event of an unknown payment, which is recorded and not notified."""
        number = next(self._numbers)
        intent = {"id": f"pi_beside{number}", "object": "payment_intent", "amount": 1000}
        intent |= {"currency": "sgd", "status": "requires_payment_method", "created": 1}
        event = {
            "id": f"evt_beside{number}",
            "object": "event",
            "type": "payment_intent.created",
            "api_version": "2026-01-01.x",
            "created": int(time.time()),
            "livemode": False,
            "data": {"object": intent},
        }
        payload = json.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(payload, WEBHOOK_SECRET)
        requests.post(
            f"{self._stage.api}/api/webhook",
            data=payload.encode(),
            headers={"Stripe-Signature": header, "Content-Type": "application/json"},
            timeout=CALL_SECONDS,
        ).raise_for_status()


def _comparison(times: dict[str, list[float]]) -> Json:
    alone, beside = (_percentiles(times[turn]) for turn in (ALONE, BESIDE))
    ratios = {name: round(beside[name] / alone[name], 2) for name in PERCENTILES if alone["count"]}
    return {ALONE: alone, BESIDE: beside, "ratio": ratios}


def _percentiles(times: list[float]) -> Json:
    ordered = sorted(times)
    figures: Json = {"count": len(ordered)}
    for name, share in PERCENTILES.items():
        figures[name] = round(ordered[int(len(ordered) * share)] * 1000, 1) if ordered else None
    return figures
