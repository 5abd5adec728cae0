"""Answers about a refund, built from Stripe's refund or from a refund job that has none yet."""

from __future__ import annotations

import json
from typing import Any

from api.models import Refund
from api.parts import parts
from shared.payment_summary import FEE_FIELDS, timestamp
from shared.refund_metadata import callers_own
from shared.stripe.amounts import RETURNED_STATES, refund_change, refund_status
from shared.work.refund_jobs import OPEN_STATES

Json = dict[str, Any]


def fee_answer(sums: Json) -> Json:
    """Build the fields about the change of the balance; null when it is not known."""
    answer = {name: sums.get(name) for name in FEE_FIELDS}
    available_on = answer["available_on"]
    return answer | {"available_on": timestamp(available_on) if available_on else None}


def refund_answer(
    refund: Json, *, job: str | None = None, attempts: int = 0, account: str | None = None
) -> Refund:
    """Build the answer from a refund in Stripe's form or in the stored form.

    `job` is the refund job that made it.
    """
    intent = refund.get("payment_intent")
    return Refund(
        refund_request_id=job,
        refund_id=refund["id"],
        status=refund_status(refund),
        amount=refund["amount"],
        currency=refund["currency"],
        reason=refund.get("reason"),
        payment_intent_id=intent if str(intent).startswith("pi_") else None,
        charge_id=refund.get("charge") or refund.get("charge_id"),
        failure_reason=refund.get("failure_reason"),
        failure_message=refund.get("failure_message"),
        pending_reason=refund.get("pending_reason"),
        account=account,
        attempts=attempts,
        created=refund.get("created"),
        metadata=callers_own(refund.get("metadata")),
        **fee_answer(_balance_change(refund)),
    )


def _balance_change(refund: Json) -> Json:
    """Return what the refund took from the balance; empty when the money came back."""
    return {} if refund_status(refund) in RETURNED_STATES else refund_change(refund) or refund


def refund_with_job(refund: Json) -> Refund:
    """Build the answer from Stripe's refund, with its refund job if it has one.

    Raises `Unavailable`.
    """
    job = parts().refund_jobs.job_of(refund["id"])
    if job is None:
        return refund_answer(refund)
    attempts, account = parts().refund_jobs.attempts_and_account(job)
    return refund_answer(refund, job=job, attempts=attempts, account=account)


def refund_of_job(fields: dict[str, str]) -> Refund:
    """Build the answer from a job: Stripe's refund, or the request until there is a refund."""
    refund = json.loads(fields["result"]) if "result" in fields else _requested(fields)
    return refund_answer(
        refund,
        job=fields["id"],
        attempts=int(fields.get("attempts", 0)),
        account=fields.get("account"),
    )


def _requested(fields: dict[str, str]) -> Json:
    """Put the request of a job into Stripe's form of a refund."""
    request, waits = json.loads(fields["request"]), fields.get("pending_reason")
    # A dead letter has no outcome until an operator decides.
    status = OPEN_STATES.get(fields["state"], "processing")
    if waits:
        status = "pending"
    elif "failure_code" in fields:
        status = "failed"
    amount = request.get("amount") or fields.get("amount")
    return {
        "id": None,
        "status": status,
        "amount": None if amount is None else int(amount),
        "currency": fields.get("currency"),
        "reason": request.get("reason"),
        "payment_intent": request.get("payment_intent"),
        "charge": request.get("charge"),
        "failure_reason": fields.get("failure_code"),
        "failure_message": fields.get("failure_message"),
        "pending_reason": waits or None,
        "created": int(fields["recorded_at"]) // 1000 if "recorded_at" in fields else None,
        "metadata": request.get("metadata"),
    }
