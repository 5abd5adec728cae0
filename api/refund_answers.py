"""The one shape of a refund in our answers: of Stripe's refund, or of a job that has none yet."""

from __future__ import annotations

import json
from typing import Any

from api.models import Refund
from api.parts import parts
from shared.work.refund_jobs import OPEN_STATES

Json = dict[str, Any]


def refund_answer(refund: Json, *, job: str | None = None, attempts: int = 0) -> Refund:
    """Build the answer from a refund in Stripe's form; `job` is our request that it came from."""
    return Refund(
        refund_request_id=job,
        refund_id=refund["id"],
        status=refund["status"],
        amount=refund["amount"],
        currency=refund["currency"],
        reason=refund.get("reason"),
        payment_intent_id=refund.get("payment_intent"),
        charge_id=refund.get("charge") or refund.get("charge_id"),
        failure_reason=refund.get("failure_reason"),
        attempts=attempts,
        created=refund.get("created"),
        metadata=refund.get("metadata") or {},
    )


def refund_with_job(refund: Json) -> Refund:
    """Build the answer from Stripe's refund, with our request if it came from one.

    Raises `Unavailable`.
    """
    job = parts().refund_jobs.job_of(refund["id"])
    attempts = parts().refund_jobs.attempts(job) if job else 0
    return refund_answer(refund, job=job, attempts=attempts)


def refund_of_job(fields: dict[str, str]) -> Refund:
    """Build the answer from a job: Stripe's refund, or what was requested until there is one."""
    refund = json.loads(fields["result"]) if "result" in fields else _requested(fields)
    return refund_answer(refund, job=fields["id"], attempts=int(fields.get("attempts", 0)))


def _requested(fields: dict[str, str]) -> Json:
    """Put what was requested into Stripe's form of a refund."""
    request = json.loads(fields["request"])
    # A dead letter is nobody's verdict: its outcome is unknown until an operator decides.
    status = OPEN_STATES.get(fields["state"], "processing")
    return {
        "id": None,
        "status": "failed" if "failure_code" in fields else status,
        "amount": request.get("amount"),
        "currency": None,
        "reason": request.get("reason"),
        "payment_intent": request["payment_intent"],
        "failure_reason": fields.get("failure_code"),
        "created": int(fields["recorded_at"]) // 1000 if "recorded_at" in fields else None,
        "metadata": request.get("metadata"),
    }
