"""Deliver one notification to the event service: signed, bounded, never redirected."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from standardwebhooks.webhooks import Webhook

from shared.card_numbers import redact_card_numbers
from shared.keys import State
from shared.settings import CONNECT_TIMEOUT_SECONDS
from shared.telemetry.tally import DELIVERY_SECONDS
from shared.telemetry.tracing import traceparent
from shared.work.breaker import Breaker
from shared.work.items import Claim
from shared.work.outbox import body
from shared.work.results import Dead, Done, Result, Retry
from worker.policy import backoff
from worker.runtime import Runtime

# A failing answer is kept with its attempt so that a person sees why; this much says enough.
KEPT_ANSWER_BYTES = 500
# While the event service is taken for ill, a notification waits this long without an attempt.
PAUSE_SECONDS = (3.0, 10.0)
SUCCESS = range(200, 300)
USER_AGENT = "billing-service/1 (+standard-webhooks)"
_dice = random.SystemRandom()


@dataclass(frozen=True)
class Delivery:
    """What one attempt gave: `error` is empty when the event service took it (2xx)."""

    error: str
    status: int | None = None
    retry_after_seconds: float | None = None
    answer: str = ""

    @property
    def peer_is_ill(self) -> bool:
        """Say whether the failure speaks of the event service rather than of this notification."""
        return bool(self.error) and (self.status is None or self.status in (429, 502, 503, 504))


def deliver(runtime: Runtime, claim: Claim) -> Result:
    """Make one attempt to deliver a notification. Raises `Unavailable` when Redis is."""
    delivery = post(runtime, claim)
    runtime.store.tally.observe(DELIVERY_SECONDS, claim.elapsed_seconds)
    if not delivery.error:
        return Done(State.DELIVERED, details={"status": delivery.status})
    if delivery.peer_is_ill:
        Breaker(runtime.store).failed(claim.fields["payment_id"])
    else:
        Breaker(runtime.store).answered()
    details = {"status": delivery.status, "answer": delivery.answer}
    left = runtime.settings.notification_max_age_seconds - claim.age_seconds
    if left <= 0:
        return Dead(delivery.error, details)
    delay = backoff(claim, runtime.settings, delivery.retry_after_seconds)
    return Retry(delivery.error, min(delay, left), details)


def pause_ms() -> int:
    """Choose for how long a notification waits while the event service is taken for ill."""
    return round(_dice.uniform(*PAUSE_SECONDS) * 1000)


def post(runtime: Runtime, claim: Claim) -> Delivery:
    """Make one attempt; every outcome is a result, none an exception."""
    settings, payload = runtime.settings, body(claim)
    try:
        with runtime.session.post(
            settings.notifications_url,
            data=payload.encode(),
            headers=_headers(runtime.signers, claim, payload),
            timeout=(CONNECT_TIMEOUT_SECONDS, settings.event_service_timeout_seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            kept = next(response.iter_content(KEPT_ANSWER_BYTES), b"").decode(errors="replace")
    except requests.RequestException as error:
        return Delivery(f"{type(error).__name__}: no answer from the event service")
    if response.status_code in SUCCESS:
        return Delivery("", response.status_code)
    return Delivery(
        f"the event service answered {response.status_code}",
        response.status_code,
        _retry_after(response.headers.get("Retry-After")),
        redact_card_numbers(kept),
    )


def _headers(signers: Sequence[Webhook], claim: Claim, payload: str) -> dict[str, str]:
    """Build the headers of Standard Webhooks 1.0.0 and W3C Trace Context."""
    now = claim.now
    signatures = [signer.sign(claim.id, now, payload) for signer in signers]
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": USER_AGENT,
        "webhook-id": claim.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "traceparent": traceparent() or claim.fields.get("traceparent") or _new_trace(),
    }
    if signatures:
        headers["webhook-signature"] = " ".join(signatures)
    if "request_id" in claim.fields:
        headers["X-Request-Id"] = claim.fields["request_id"]
    return headers


def _new_trace() -> str:
    """Begin a trace for a notification whose cause came without one (W3C Trace Context)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def _retry_after(value: str | None) -> float | None:
    """Read `Retry-After`, seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
