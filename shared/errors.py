"""Errors, sorted by who must act.

The gateway translates every error of Stripe's SDK into one of these; one worker module decides
retry, snooze or dead letter from the class alone, and one API module decides the HTTP answer.
"""

from __future__ import annotations

from typing import Any, TypedDict, Unpack


class Fields(TypedDict, total=False):
    """The members of a problem document that an error may fill; the API's model explains them."""

    account: str | None
    advice_code: str | None
    amount_received: int | None
    charge_id: str | None
    currency: str | None
    decline_code: str | None
    left_out: dict[str, int] | None
    param: str | None
    payment_intent_id: str | None
    payment_status: str | None
    state: str | None
    stripe_request_id: str | None


class BillingError(Exception):
    """A failure, with what its answer needs.

    `code` is stable snake_case, `detail` says what to do next; `fields` go into the problem
    document as they are, so they never hold a secret or card data. `retry_after_seconds` becomes
    the Retry-After header.
    """

    status = 500
    code = "internal_error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.retry_after_seconds = retry_after_seconds
        self.fields: dict[str, Any] = {
            name: value for name, value in fields.items() if value is not None
        }

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class CallerError(BillingError):
    """The caller must change something: 400, 401, 403, 404, 409, 413, 415 or 422."""

    status = 400
    code = "invalid_request"

    def __init__(
        self,
        detail: str,
        *,
        status: int = 400,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        super().__init__(detail, code=code, retry_after_seconds=retry_after_seconds, **fields)
        self.status = status


class PaymentDeclined(BillingError):
    """The customer must act: another card, or authentication. Final for this attempt (402)."""

    status = 402
    code = "card_declined"


class NotYet(BillingError):
    """A needed fact has not arrived: snooze; this does not count as an attempt."""

    status = 503
    code = "not_yet"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        delay_seconds: float = 5.0,
        **fields: Unpack[Fields],
    ) -> None:
        super().__init__(detail, code=code, **fields)
        self.delay_seconds = delay_seconds


class OverBudget(NotYet):
    """Our share of Stripe's rate is used up: the work waits for its turn, without a limit."""

    code = "over_budget"


class Unavailable(BillingError):
    """Stripe, Redis or the event service is unavailable: try the same call again later (503).

    `outcome_known` is false when the call may have taken effect (a timeout): then the next try must
    use the same idempotency key. `retry_after_seconds` comes from the peer.
    """

    status = 503
    code = "unavailable"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        outcome_known: bool = True,
        **fields: Unpack[Fields],
    ) -> None:
        super().__init__(detail, code=code, retry_after_seconds=retry_after_seconds, **fields)
        self.outcome_known = outcome_known


class Misconfigured(BillingError):
    """An operator must act (a refused key, a missing setting): not retryable, alert."""

    code = "misconfigured"


class Inconsistent(BillingError):
    """One of our invariants is broken: not retryable, dead letter with the evidence."""

    code = "inconsistent"
