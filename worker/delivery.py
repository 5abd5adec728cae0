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

from shared.settings import CONNECT_TIMEOUT_SECONDS, Settings
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import ATTEMPTS, DELIVERIES, DELIVERY_SECONDS, NOTIFICATION_DELAY
from shared.telemetry.tracing import SpanKind, span, traceparent
from shared.work.breaker import Breaker
from shared.work.items import Claim
from shared.work.outbox import age_seconds, body
from worker.policy import take
from worker.runtime import Runtime
from worker.schedule import retry_delay_seconds

log = get_logger(__name__)
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


def deliver(runtime: Runtime, notification_id: str) -> None:
    """Deliver the notification if it is ours to deliver now; safe for any id, at any time."""
    outbox, pause_ms = runtime.outbox, round(_dice.uniform(*PAUSE_SECONDS) * 1000)
    claim = take(outbox.work, notification_id, outbox.dead, pause_ms=pause_ms)
    if claim is None:
        return
    with span(claim.kind.task, parent=claim.fields.get("traceparent"), kind=SpanKind.PRODUCER):
        delivery = post(runtime, claim)
    if delivery.peer_is_ill:
        Breaker(runtime.store).failed(claim.fields["payment_id"])
    elif delivery.error:
        Breaker(runtime.store).answered()
    _mark(runtime, claim, delivery)


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
        kept,
    )


def _headers(signers: Sequence[Webhook], claim: Claim, payload: str) -> dict[str, str]:
    """Build the headers of Standard Webhooks 1.0.0 and W3C Trace Context."""
    now = datetime.now(UTC)
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


def _mark(runtime: Runtime, claim: Claim, delivery: Delivery) -> None:
    settings, outcome, delay = runtime.settings, "delivered", 0.0
    if not delivery.error:
        runtime.outbox.delivered(claim, status=delivery.status)
    elif age_seconds(claim) >= settings.notification_max_age_seconds:
        outcome = "dead"
        runtime.outbox.dead(claim, delivery.error, status=delivery.status, answer=delivery.answer)
    else:
        outcome, delay = "retry", _delay(claim, delivery, settings)
        runtime.outbox.work.postpone(claim, delay, error=delivery.error)
    _count(runtime, claim, outcome)
    log.info(
        "delivery_attempt",
        id=claim.id,
        type=claim.fields["type"],
        payment_id=claim.fields["payment_id"],
        request_id=claim.fields.get("request_id"),
        attempt=claim.attempts,
        outcome=outcome,
        status=delivery.status,
        error=delivery.error or None,
        next_attempt_in_seconds=round(delay, 3) or None,
    )


def _count(runtime: Runtime, claim: Claim, outcome: str) -> None:
    tally, now = runtime.store.tally, datetime.now(UTC)
    tally.count(ATTEMPTS, kind=claim.kind.name, outcome=outcome)
    tally.count(DELIVERIES, type=claim.fields["type"], outcome=outcome)
    tally.observe(DELIVERY_SECONDS, (now - claim.started_at).total_seconds())
    if outcome == "delivered" and "created" in claim.fields:
        tally.observe(NOTIFICATION_DELAY, now.timestamp() - int(claim.fields["created"]))


def _delay(claim: Claim, delivery: Delivery, settings: Settings) -> float:
    left = settings.notification_max_age_seconds - age_seconds(claim)
    delay = retry_delay_seconds(
        claim.attempts,
        base_seconds=settings.retry_base_seconds,
        cap_seconds=settings.retry_cap_seconds,
        dice=_dice,
        retry_after_seconds=delivery.retry_after_seconds,
    )
    return min(delay, max(left, 0.0))
