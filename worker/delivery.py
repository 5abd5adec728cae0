"""Deliver one notification to the event service: signed, within a deadline, never redirected."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence

from standardwebhooks.webhooks import Webhook

from shared.errors import Unavailable
from shared.keys import State
from shared.telemetry.tally import DELIVERY_SECONDS
from shared.telemetry.tracing import traceparent
from shared.work.breaker import Breaker
from shared.work.items import Claim
from shared.work.outbox import body
from shared.work.results import Dead, Done, Result, Retry, Snooze
from worker.event_service import Answer
from worker.policy import backoff, reason_of
from worker.runtime import Runtime

# Pause while a required replica is away; it returns within seconds, or an operator must act.
UNSURE_SECONDS = 2.0
# Range of the pause of a notification, without an attempt, while the breaker is open.
PAUSE_SECONDS = (3.0, 10.0)
USER_AGENT = "billing-service/1 (+standard-webhooks)"
_dice = random.SystemRandom()


def deliver(runtime: Runtime, claim: Claim) -> Result:
    """Make one attempt to deliver a notification. Raises `Unavailable` when Redis is down."""
    unsure = _unsure(runtime, claim)
    if unsure:
        return Snooze(UNSURE_SECONDS, unsure)
    answer = post(runtime, claim)
    runtime.store.tally.observe(DELIVERY_SECONDS, claim.elapsed_seconds)
    details = {"status": answer.status, "answer": answer.text}
    if not answer.failure:
        return Done(State.DELIVERED, details=details)
    details |= {"failure": answer.failure}
    if answer.peer_is_ill:
        Breaker(runtime.store).failed(claim.fields["payment_id"])
    else:
        Breaker(runtime.store).answered()
    left = runtime.settings.notification_max_age_seconds - claim.age_seconds
    if answer.is_final or left <= 0:
        return Dead(answer.error, details)
    delay = backoff(claim, runtime.settings, answer.retry_after_seconds)
    return Retry(answer.error, min(delay, left), details)


def _unsure(runtime: Runtime, claim: Claim) -> str:
    """Return the reason why the notification may not be sent yet, or '' when it may.

    Redis assigned its sequence number. A fail-over that loses it would assign the number to another
    notification, so the required replicas must have it before the first attempt.
    """
    if claim.attempts > 1 or not runtime.store.replicas_required:
        return ""
    try:
        runtime.store.confirm()
    except Unavailable as error:
        return reason_of(error)
    return ""


def pause_ms() -> int:
    """Choose how long, in milliseconds, a notification waits while the breaker is open."""
    return round(_dice.uniform(*PAUSE_SECONDS) * 1000)


def post(runtime: Runtime, claim: Claim) -> Answer:
    """Send the notification once; every outcome is a result, none an exception."""
    payload = body(claim)
    return runtime.event_service.post(payload.encode(), _headers(runtime.signers, claim, payload))


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
    """Begin a trace for a notification whose cause has none (W3C Trace Context)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
