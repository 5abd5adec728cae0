"""Refund a payment at once when its card's issuer warns of fraud: a dispute costs more."""

from __future__ import annotations

from shared.stripe.amounts import captured, received
from shared.stripe.event import Event
from shared.telemetry.logging import get_logger
from shared.work.refund_jobs import RefundRequest, job_id
from worker import look_ups
from worker.runtime import Runtime

log = get_logger(__name__)
WARNING = "radar.early_fraud_warning."
SCOPE = "early-fraud-warning"


def refund_warned(runtime: Runtime, event: Event, payment_id: str) -> None:
    """Record a refund job for the rest of the payment, if the settings allow that amount.

    Stripe says how much is left. One warning records one job, however often it is processed.
    Raises `Unavailable`.
    """
    limits, warning = runtime.settings.warned_limits, event.object
    if not limits or not warning.get("actionable") or not payment_id.startswith("pi_"):
        return
    intent = look_ups.payment(runtime.gateway, payment_id, event.account)
    charge = intent.get("latest_charge")
    if intent.get("status") != "succeeded" or not isinstance(charge, dict):
        return
    given_back = min(int(charge.get("amount_refunded") or 0), captured(charge))
    left, most = received(intent) - given_back, limits.get(str(intent["currency"]), 0)
    if charge.get("disputed") or not 0 < left <= most:
        log.info("warned_payment_not_refunded", payment_id=payment_id, left=left, most=most)
        return
    job = job_id(SCOPE, str(warning["id"]))
    refund = RefundRequest(payment_id, reason="fraudulent", account=event.account)
    runtime.refund_jobs.record(job, refund)
    log.info("warned_payment_refunded", payment_id=payment_id, refund_request_id=job)
