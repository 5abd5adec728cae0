"""Run one refund job: ask Stripe under the job's own key, settle what it said."""

from __future__ import annotations

import json
import time
from typing import Any

from shared.errors import CallerError, Inconsistent, PaymentDeclined
from shared.facts import Fact
from shared.refund_jobs import stripe_key
from shared.settlement import Established, finish_plan
from shared.work import Claim
from worker.policy import attempt
from worker.runtime import Runtime

Json = dict[str, Any]
# Stripe may forget an idempotency key after 24 hours; an hour before that, asking again is no
# longer safe, and a person must look.
SAFE_TO_REPEAT_SECONDS = 23 * 3600


def run_refund(runtime: Runtime, job: str) -> None:
    """Run the job if it is ours to run now; safe to call for any id, at any time."""
    work = runtime.refund_jobs.work
    claim = work.claim(job)
    if claim is None:
        return
    settings = runtime.settings
    attempt(work, claim, lambda: _run(runtime, claim), settings, settings.refund_max_attempts)


def _run(runtime: Runtime, claim: Claim) -> str:
    _refuse_stale(claim)
    try:
        refund = runtime.gateway.create_refund(
            params=json.loads(claim.fields["request"]),
            idempotency_key=stripe_key(claim.id),
            account=claim.fields.get("account"),
        )
    except (CallerError, PaymentDeclined) as error:
        return _refused(runtime, claim, error)
    return _refunded(runtime, claim, refund)


def _refuse_stale(claim: Claim) -> None:
    first = int(claim.fields["first_attempt_at"]) / 1000
    if claim.started_at.timestamp() - first > SAFE_TO_REPEAT_SECONDS:
        raise Inconsistent(
            "Begun over 23 hours ago: Stripe may have forgotten the key. Look the refund up.",
            code="refund_outcome_unknown",
        )


def _refunded(runtime: Runtime, claim: Claim, refund: Json) -> str:
    """Finish the job with Stripe's refund; its events tell the event service."""
    runtime.refund_jobs.remember(str(refund["id"]), claim.id)
    fields = {"refund_id": str(refund["id"]), "result": json.dumps(refund)}
    return _settle(runtime, claim, fields, [])


def _refused(runtime: Runtime, claim: Claim, error: CallerError | PaymentDeclined) -> str:
    """Finish the job with Stripe's reason; no event will tell, so we do."""
    fields = {"failure_code": error.code, "failure_message": error.detail}
    now = int(time.time())
    request = json.loads(claim.fields["request"])
    fact = Fact(
        subject=claim.id,
        family="refund_request",
        status="failed",
        rank=(now,),
        happened_at=now,
        snapshot=fields,
        type="refund.failed",
        key=claim.id,
        data={
            "amount": request.get("amount"),
            "failure_code": error.code,
            "failure_message": error.detail,
            "metadata": request.get("metadata") or {},
        },
        lasting=True,
        livemode=runtime.settings.livemode,
    )
    return _settle(runtime, claim, fields, [fact])


def _settle(runtime: Runtime, claim: Claim, fields: dict[str, str], facts: list[Fact]) -> str:
    plan = finish_plan(claim, "finished", fields, runtime.settings)
    established = Established(claim.fields["payment_id"], facts)
    settled = runtime.settlement.settle(claim, established, plan)
    return "lost" if settled is None else "failed" if "failure_code" in fields else "refunded"
