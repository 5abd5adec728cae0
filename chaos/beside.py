"""Ordinary payments and webhooks at a steady pace, and how long each takes."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import Any

import requests
import stripe

from chaos.stage import WEBHOOK_SECRET, Stage

Json = dict[str, Any]
# A payment and a webhook each quarter of a second: a busy evening, and no load.
PACE_SECONDS = 0.25
CALL_SECONDS = 30.0
PAYMENT = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Beside:
    """Send traffic in threads of its own from the first measurement to the last."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._times: dict[str, list[tuple[float, float]]] = {"payments": [], "webhooks": []}
        self._alone_until = 0.0
        sends = {"payments": self._pay, "webhooks": self._post_event}
        self._threads = [
            threading.Thread(target=self._send, args=(name, send)) for name, send in sends.items()
        ]

    def alone(self, seconds: float) -> None:
        """Begin, and measure for so long what is not to be compared with itself."""
        for thread in self._threads:
            thread.start()
        time.sleep(seconds)
        self._alone_until = time.monotonic()

    def figures(self) -> Json:
        """Stop, and give the percentiles of both kinds, alone and beside, in milliseconds."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return {name: self._compared(times) for name, times in self._times.items()}

    def _compared(self, times: list[tuple[float, float]]) -> Json:
        alone = [took for at, took in times if at <= self._alone_until]
        beside = [took for at, took in times if at > self._alone_until]
        return {"alone": _percentiles(alone), "beside": _percentiles(beside)}

    def _send(self, name: str, send: Any) -> None:
        while not self._stop.is_set():
            began_at = time.perf_counter()
            send()
            took = time.perf_counter() - began_at
            self._times[name].append((time.monotonic(), took))
            self._stop.wait(max(0.0, PACE_SECONDS - took))

    def _pay(self) -> None:
        url = f"{self._stage.api}/api/payment/process"
        requests.post(url, json=PAYMENT, timeout=CALL_SECONDS).raise_for_status()

    def _post_event(self) -> None:
        """Deliver an event of a payment that nobody made: it is recorded, and told to nobody."""
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


def _percentiles(times: list[float]) -> Json:
    ordered = sorted(times)
    figures: Json = {"count": len(ordered)}
    for name, share in PERCENTILES.items():
        figures[name] = round(ordered[int(len(ordered) * share)] * 1000, 1) if ordered else None
    return figures
