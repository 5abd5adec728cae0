"""Run one refund job: ask Stripe under the job's own key, settle what it said."""

from __future__ import annotations

import json
from typing import Any

from shared.errors import CallerError, Inconsistent, PaymentDeclined, Unavailable
from shared.facts import Fact
from shared.keys import State
from shared.work.items import Claim
from shared.work.outcomes import Outcomes, listed
from shared.work.refund_jobs import stripe_key
from shared.work.results import Done, Established
from worker.runtime import Runtime

Json = dict[str, Any]
# Stripe may forget an idempotency key after 24 hours; an hour before that, asking again is no
# longer safe, and a person must look.
SAFE_TO_REPEAT_SECONDS = 23 * 3600
# Errors of Stripe's own (5xx) are kept under the idempotency key and given again for 24 hours.
REPEATED_BY_STRIPE = "stripe_error"


def run_refund(runtime: Runtime, claim: Claim) -> Done:
    """Make the refund, or find the one that an earlier attempt made.

    Raises `Unavailable` when the outcome is unknown: the same key is sent again. Raises
    `Inconsistent` when that is no longer safe, `Misconfigured`.
    """
    if "decision" in claim.fields:
        return _decided(runtime, claim)
    if _asked_before(claim) and (made := _made(runtime, claim, listed_too=_is_stale(claim))):
        return _refunded(runtime, claim, made)
    if _is_stale(claim) and "redriven_at" not in claim.fields:
        raise Inconsistent(
            "Begun over 23 hours ago: Stripe may have forgotten the key. Look the refund up.",
            code="refund_outcome_unknown",
        )
    try:
        refund = runtime.gateway.create_refund(
            params=json.loads(claim.fields["request"]),
            idempotency_key=stripe_key(claim.id),
            account=claim.fields.get("account"),
        )
    except (CallerError, PaymentDeclined, Unavailable) as error:
        return _without_answer(runtime, claim, error)
    return _refunded(runtime, claim, refund)


def _decided(runtime: Runtime, claim: Claim) -> Done:
    """Finish a job whose outcome nobody knew as a person found it at Stripe."""
    refund_id = json.loads(claim.fields["decision"])["refund_id"]
    if refund_id is None:
        error = CallerError("It was found that no refund was made.", code="resolved_as_failed")
        return _refused(runtime, claim, error)
    return _refunded(runtime, claim, runtime.gateway.refund(refund_id, claim.fields.get("account")))


def _without_answer(
    runtime: Runtime, claim: Claim, error: CallerError | PaymentDeclined | Unavailable
) -> Done:
    """Find out what an earlier attempt made, before this one's refusal or error is believed.

    A refusal may be due to our own refund (`charge_already_refunded`), and an error 500 is one
    that Stripe keeps under the key and repeats.
    """
    repeated = not isinstance(error, Unavailable) or error.code == REPEATED_BY_STRIPE
    if repeated and _asked_before(claim) and (made := _made(runtime, claim, listed_too=True)):
        return _refunded(runtime, claim, made)
    if isinstance(error, Unavailable):
        raise error
    return _refused(runtime, claim, error)


def _asked_before(claim: Claim) -> bool:
    return claim.attempts > 1 or "redriven_at" in claim.fields


def _begun_at(claim: Claim) -> float:
    """Say when Stripe may have been asked first; a redrive forgets when that was."""
    since = "recorded_at" if "redriven_at" in claim.fields else "first_attempt_at"
    return int(claim.fields[since]) / 1000


def _is_stale(claim: Claim) -> bool:
    return claim.claimed_at_ms / 1000 - _begun_at(claim) > SAFE_TO_REPEAT_SECONDS


def _made(runtime: Runtime, claim: Claim, *, listed_too: bool) -> Json | None:
    """Give the refund an earlier attempt made: as an event of it said, or as Stripe lists it."""
    asked, account = stripe_key(claim.id), claim.fields.get("account")
    found = Outcomes(runtime.store, runtime.settings).remembered(asked)
    if found is None and listed_too:
        found = listed(runtime.gateway, asked, "refund", _begun_at(claim), account)
    return runtime.gateway.refund(found, account) if found else None


def _refunded(runtime: Runtime, claim: Claim, refund: Json) -> Done:
    """Finish the job with Stripe's refund; its events tell the event service."""
    runtime.refund_jobs.remember(str(refund["id"]), claim.id)
    fields = {"refund_id": str(refund["id"]), "result": json.dumps(refund)}
    return _finished(claim, "refunded", fields, [])


def _refused(runtime: Runtime, claim: Claim, error: CallerError | PaymentDeclined) -> Done:
    """Finish the job with Stripe's reason; no event will tell, so we do."""
    fields = {"failure_code": error.code, "failure_message": error.detail}
    now = int(claim.now.timestamp())
    request = json.loads(claim.fields["request"])
    fact = Fact(
        subject=claim.id,
        family="refund_request",
        status="failed",
        rank=(now,),
        happened_at=now,
        snapshot=dict(fields),
        type="refund.failed",
        key=claim.id,
        data={
            "amount": request.get("amount"),
            "failure_code": error.code,
            "failure_message": error.detail,
            "metadata": request.get("metadata") or {},
        },
        livemode=runtime.settings.livemode,
    )
    return _finished(claim, "failed", fields, [fact])


def _finished(claim: Claim, outcome: str, fields: dict[str, str], facts: list[Fact]) -> Done:
    established = Established(claim.fields["payment_id"], facts)
    return Done(State.FINISHED, outcome, fields, established)
