"""Run one refund job: call Stripe with the job's own idempotency key, and settle the answer."""

from __future__ import annotations

import json
from typing import Any

from shared.deadline import deadline
from shared.errors import (
    BillingError,
    CallerError,
    Inconsistent,
    Misconfigured,
    OverBudget,
    PaymentDeclined,
    Unavailable,
)
from shared.facts import Fact
from shared.keys import State
from shared.payment_summary import summarise
from shared.refund_metadata import callers_own
from shared.refund_terms import LEFT_OUT_BY_STRIPE, Share
from shared.stripe.amounts import received
from shared.stripe.event import payment_of
from shared.telemetry.logging import get_logger
from shared.work.items import Claim
from shared.work.outcomes import object_in_events
from shared.work.refund_jobs import stripe_key
from shared.work.results import Done, Established
from worker.handlers.refund import answered_facts
from worker.look_ups import payment_as_intent
from worker.refund_rest import is_too_much, rest_of
from worker.runtime import Runtime

log = get_logger(__name__)
Json = dict[str, Any]
# Stripe may delete an idempotency key after 24 hours. From an hour before that, repeating the call
# is not safe, and a person must look.
SAFE_TO_REPEAT_SECONDS = 23 * 3600
# Stripe keeps its own errors (5xx) under the idempotency key and repeats them for 24 hours.
REPEATED_BY_STRIPE = "stripe_error"
# Refusals that disappear when the balance grows: the code of an error, and that of a refund.
BALANCE_MISSING = ("balance_insufficient", "insufficient_balance_for_refund")
INSUFFICIENT_FUNDS = "insufficient_funds"
# The first pause, in units of the settings' retry step; it doubles each time up to an hour. The
# balance grows within minutes when there are payments, or not before the next day.
FIRST_WAIT_FACTOR = 5
MOST_DOUBLINGS = 30
# The longest look-up of a refund's balance transaction: the caller may wait for the refund.
LOOK_UP_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 3600.0
# Any pause means that the job is not finished.
SHORTEST_DELAY_SECONDS = 0.001


def run_refund(runtime: Runtime, claim: Claim) -> Done:
    """Make the refund, or find the one that an earlier attempt made.

    Raises `Unavailable` when the outcome is unknown (the next attempt sends the same key),
    `Inconsistent` when repeating the call is no longer safe, `Misconfigured`.
    """
    if "decision" in claim.fields:
        return _finish_as_decided(runtime, claim)
    stale = _is_stale(claim)
    if earlier := _earlier_refund(runtime, claim, search_list=stale):
        return _succeed(runtime, claim, earlier)
    if stale and "redriven_at" not in claim.fields:
        raise Inconsistent(
            "The job began over 23 hours ago, and Stripe may have deleted its idempotency key. "
            "Look in Stripe's dashboard whether there is a refund, then resolve the job.",
            code="refund_outcome_unknown",
        )
    try:
        _require_currency(runtime, claim)
        refund = runtime.refund_gateway.create_refund(
            params=json.loads(claim.fields["request"]),
            idempotency_key=_key(claim),
            account=claim.fields.get("account"),
        )
    except (CallerError, PaymentDeclined, Unavailable) as error:
        return _without_answer(runtime, claim, error)
    return _succeed(runtime, claim, refund)


def _finish_as_decided(runtime: Runtime, claim: Claim) -> Done:
    """Finish a job of unknown outcome as an operator decided after a look at Stripe."""
    refund_id = json.loads(claim.fields["decision"])["refund_id"]
    if refund_id is None:
        error = CallerError("An operator found no refund at Stripe.", code="resolved_as_failed")
        return _fail(runtime, claim, error)
    return _succeed(
        runtime, claim, runtime.refund_gateway.refund(refund_id, claim.fields.get("account"))
    )


def _without_answer(
    runtime: Runtime, claim: Claim, error: CallerError | PaymentDeclined | Unavailable
) -> Done:
    """Finish the job after an error, unless an earlier attempt made the refund.

    Our own refund may be the cause of the refusal (`charge_already_refunded`), and a 500 may be an
    old one that Stripe keeps under the key and repeats. Raises `error` if it is `Unavailable`.
    """
    if error.code in BALANCE_MISSING:
        return _waits_or_fails(runtime, claim, error)
    repeated = not isinstance(error, Unavailable) or error.code == REPEATED_BY_STRIPE
    if repeated and (earlier := _earlier_refund(runtime, claim, search_list=True)):
        return _succeed(runtime, claim, earlier)
    if isinstance(error, Unavailable):
        raise error
    if is_too_much(claim, error) and (rest := rest_of(runtime, claim)):
        return _refund_rest(runtime, claim, error, rest)
    return _fail(runtime, claim, error)


def _refund_rest(runtime: Runtime, claim: Claim, error: BillingError, rest: Share) -> Done:
    """Refund less in the next attempt, or fail with the reason why there is nothing to refund.

    Stripe made nothing under the key that it refused. The smaller amount is sent under another key,
    and both are stored in one step: whoever dies before it repeats the refused call, and whoever
    dies after it the other one. Each time the amount is smaller, so this ends.
    """
    if rest.left_out:
        codes = {reason: code for code, reason in LEFT_OUT_BY_STRIPE.items()}
        code = codes.get(rest.left_out, error.code)
        return _fail(runtime, claim, CallerError(error.detail, code=code))
    request = json.loads(claim.fields["request"]) | {"amount": rest.amount}
    fields = {"request": json.dumps(request), "refusals": str(_refusals(claim) + 1)}
    return Done(State.RETRYING, "lowered", fields, delay_seconds=SHORTEST_DELAY_SECONDS)


def _is_repeated(claim: Claim) -> bool:
    return claim.attempts > 1 or "redriven_at" in claim.fields


def _begun_at(claim: Claim) -> float:
    """Return the earliest time of a call to Stripe; a redrive deletes the exact one."""
    since = "recorded_at" if "redriven_at" in claim.fields else "first_attempt_at"
    return int(claim.fields[since]) / 1000


def _is_stale(claim: Claim) -> bool:
    return claim.claimed_at_ms / 1000 - _begun_at(claim) > SAFE_TO_REPEAT_SECONDS


def _earlier_refund(runtime: Runtime, claim: Claim, *, search_list: bool) -> Json | None:
    """Return the refund that an earlier attempt made: from its event, or from Stripe's list."""
    if not _is_repeated(claim):
        return None
    key, account = _key(claim), claim.fields.get("account")
    refund_id = runtime.outcomes.remembered(key)
    if refund_id is None and search_list:
        refund_id = object_in_events(
            runtime.refund_gateway, key, "refund", _begun_at(claim), account
        )
    return runtime.refund_gateway.refund(refund_id, account) if refund_id else None


def _succeed(runtime: Runtime, claim: Claim, refund: Json) -> Done:
    """Finish the job with Stripe's refund, whose events become notifications."""
    runtime.refund_jobs.remember(str(refund["id"]), claim.id)
    fields = {"refund_id": str(refund["id"]), "result": json.dumps(refund)}
    return _finish(claim, "refunded", fields, _answered(runtime, claim, refund))


def _answered(runtime: Runtime, claim: Claim, refund: Json) -> list[Fact]:
    """Build the facts of a refund that succeeded at once, with what it moved on the balance.

    Empty when its events have to show more: one that is not of this payment, or that is pending.
    """
    ours = payment_of(refund) == claim.fields["payment_id"]
    account = claim.fields.get("account")
    if ours and refund.get("status") == "succeeded":
        refund = _with_booking(runtime, refund, account)
        return answered_facts(refund, account, livemode=runtime.settings.livemode)
    return []


def _with_booking(runtime: Runtime, refund: Json, account: str | None) -> Json:
    """Read a refund with its balance transaction; when that fails, its events look it up.

    The endpoint of balance transactions has a rate limit that payments need for their fees.
    """
    if isinstance(refund.get("balance_transaction"), dict):
        return refund
    try:
        with deadline(LOOK_UP_SECONDS):
            return runtime.refund_gateway.refund(str(refund["id"]), account)
    except (CallerError, Misconfigured, OverBudget, Unavailable) as error:
        log.info("refund_not_looked_up", id=refund["id"], error=str(error))
        return refund


def _waits_or_fails(runtime: Runtime, claim: Claim, error: BillingError) -> Done:
    """Wait for balance as long as the settings allow: the next payments may bring it.

    Stripe made nothing under the key that it refused, and the next attempt uses another key.
    """
    if claim.age_seconds > runtime.settings.refund_balance_wait_seconds:
        return _fail(runtime, claim, error)
    refusal = _Refusal(runtime, claim, error)
    fields = refusal.fields | {
        "pending_reason": INSUFFICIENT_FUNDS,
        "refusals": str(_refusals(claim) + 1),
    }
    first = FIRST_WAIT_FACTOR * runtime.settings.retry_base_seconds
    delay = min(LONGEST_WAIT_SECONDS, first * 2 ** min(_refusals(claim), MOST_DOUBLINGS))
    fact = refusal.fact("pending", rank=0, key=f"{claim.id}:waits")
    established = Established(claim.fields["payment_id"], [fact])
    return Done(
        State.RETRYING,
        "waits_for_balance",
        fields,
        established,
        delay_seconds=max(delay, SHORTEST_DELAY_SECONDS),
    )


def _fail(runtime: Runtime, claim: Claim, error: BillingError) -> Done:
    """Finish the job with Stripe's reason, and notify: Stripe sends no event about a refusal."""
    refusal = _Refusal(runtime, claim, error)
    fact = refusal.fact("failed", rank=1, key=claim.id)
    return _finish(claim, "failed", refusal.fields | {"pending_reason": ""}, [fact])


class _Refusal:
    """A refusal by Stripe as fields of the job and as a fact: code, message and amount."""

    def __init__(self, runtime: Runtime, claim: Claim, error: BillingError) -> None:
        self._claim = claim
        self._livemode = runtime.settings.livemode
        self._request: Json = json.loads(claim.fields["request"])
        self._error = error
        amount, currency = _requested_money(runtime, claim, self._request)
        self._money: Json = {"amount": amount, "currency": currency}
        money = {name: str(value) for name, value in self._money.items() if value is not None}
        self.fields = money | {"failure_code": error.code, "failure_message": error.detail}

    def fact(self, status: str, *, rank: int, key: str) -> Fact:
        """Build the fact that the refund request waits or failed; there is no refund at Stripe."""
        now = int(self._claim.now.timestamp())
        return Fact(
            subject=self._claim.id,
            family="refund_request",
            status=status,
            rank=(rank, now),
            happened_at=now,
            snapshot=dict(self.fields),
            type=f"refund.{status}",
            key=key,
            data=self._money
            | {
                "refund_request_id": self._claim.id,
                "charge_id": self._request.get("charge"),
                "reason": self._request.get("reason"),
                "pending_reason": INSUFFICIENT_FUNDS if status == "pending" else None,
                "failure_code": self._error.code,
                "failure_message": self._error.detail,
                "metadata": callers_own(self._request.get("metadata")),
                "account": self._claim.fields.get("account"),
            },
            livemode=self._livemode,
        )


def _require_currency(runtime: Runtime, claim: Claim) -> None:
    """Refuse the refund if its payment has another currency than the caller expects.

    Raises `CallerError`; `Unavailable` when Redis does not know the currency and Stripe does not
    answer.
    """
    expected_currency, payment_id = (
        claim.fields.get("expected_currency"),
        claim.fields["payment_id"],
    )
    if not expected_currency:
        return
    currency = summarise(payment_id, runtime.payments.read(payment_id).known).currency
    if currency is None:
        account, stripe = claim.fields.get("account"), runtime.refund_gateway
        look = stripe.payment if payment_id.startswith("pi_") else stripe.charge
        currency = look(payment_id, account)["currency"]
    if currency != expected_currency:
        raise CallerError(
            f"The payment is in {currency}, not in {expected_currency}.", code="currency_mismatch"
        )


def _requested_money(
    runtime: Runtime, claim: Claim, request: Json
) -> tuple[int | None, str | None]:
    """Return the amount to refund (requested, or all that is left) and the currency, if known."""
    payment_id, account = claim.fields["payment_id"], claim.fields.get("account")
    summary = summarise(payment_id, runtime.payments.read(payment_id).known)
    came, currency = summary.amount_received, summary.currency
    if came is None:
        intent = payment_as_intent(runtime.refund_gateway, payment_id, account)
        if not intent:
            return request.get("amount"), currency
        came, currency = received(intent), intent["currency"]
    return request.get("amount") or max(came - summary.amount_refunded, 0) or None, currency


def _refusals(claim: Claim) -> int:
    return int(claim.fields.get("refusals", 0))


def _key(claim: Claim) -> str:
    return stripe_key(claim.id, _refusals(claim))


def _finish(claim: Claim, outcome: str, fields: dict[str, str], facts: list[Fact]) -> Done:
    established = Established(claim.fields["payment_id"], facts)
    return Done(State.FINISHED, outcome, fields, established)
