"""Translation of Stripe's errors into ours, decided by who must act on each."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import stripe

from shared.card_numbers import redact_card_numbers
from shared.errors import (
    BillingError,
    CallerError,
    Inconsistent,
    Misconfigured,
    PaymentDeclined,
    Unavailable,
)
from shared.http_transport import retry_after_seconds
from shared.stripe.rate_limits import should_retry

# Seconds to wait when Stripe names no pause: its own rate limits are per second.
RETRY_AFTER_SECONDS = 5
# Seconds to wait when Stripe says that another try does not help, mostly because it stores its
# answer: by then Stripe may work again.
OF_NO_USE_SECONDS = 60
# A restricted key was not given the permission that a call needs.
RIGHT_MISSING = "stripe_permission_missing"
# Codes of refusals without an effect: another try can always help later.
RATE_LIMITED = "stripe_rate_limited"
# Codes of a 403 that concern our key and not an account.
KEY_CODES = ("more_permissions_required", "api_key", "platform_api_key", "secret_key")


def translate(error: stripe.StripeError) -> BillingError:
    """Translate an error of the SDK into one of ours, by who must act.

    A refusal with `Stripe-Should-Retry: true` (a lock) becomes `Unavailable`.
    Source: Stripe's error reference (types, HTTP statuses) and the SDK's exception classes.
    """
    if isinstance(error, REFUSALS) and should_retry(error.headers):
        return _unavailable(error, "Stripe cannot do this at the moment.", "stripe_busy")
    for kind, translation in _TRANSLATIONS:
        if isinstance(error, kind):
            return translation(error)
    is_known = error.http_status == HTTPStatus.CONFLICT
    return _unavailable(error, "Stripe has a problem.", "stripe_error", outcome_known=is_known)


def _unavailable(
    error: stripe.StripeError, what: str, code: str, *, outcome_known: bool = True
) -> Unavailable:
    seconds = retry_after_seconds((error.headers or {}).get("retry-after"))
    of_no_use = should_retry(error.headers) is False and code != RATE_LIMITED
    usual = OF_NO_USE_SECONDS if of_no_use else RETRY_AFTER_SECONDS
    return Unavailable(
        f"{what} Try again with the same Idempotency-Key.",
        code=code,
        retry_after_seconds=usual if seconds is None else seconds,
        outcome_known=outcome_known,
        stripe_request_id=error.request_id,
    )


def _body(error: stripe.StripeError) -> dict[str, Any]:
    body = error.json_body if isinstance(error.json_body, dict) else {}
    return cast(dict[str, Any], body.get("error") or {})


def _message(error: stripe.StripeError, otherwise: str) -> str:
    """Return Stripe's message without card numbers: it may repeat what a caller sent."""
    return redact_card_numbers(error.user_message or otherwise)


def _decline(error: stripe.CardError) -> PaymentDeclined:
    body = _body(error)
    intent = body.get("payment_intent") or {}
    return PaymentDeclined(
        _message(error, "The card was declined."),
        code=error.code,
        decline_code=body.get("decline_code"),
        advice_code=body.get("advice_code"),
        payment_intent_id=intent.get("id"),
        payment_status=intent.get("status"),
        charge_id=body.get("charge"),
        param=body.get("param"),
        stripe_request_id=error.request_id,
    )


def _bad_request(error: stripe.InvalidRequestError) -> CallerError:
    body = _body(error)
    missing = error.code == "resource_missing"
    intent = body.get("payment_intent") or {}
    return CallerError(
        _message(error, "Stripe refused the request."),
        status=404 if missing and error.http_status == HTTPStatus.NOT_FOUND else 400,
        code=error.code or "stripe_refused",
        param=body.get("param"),
        payment_intent_id=intent.get("id"),
        stripe_request_id=error.request_id,
    )


def _rate_limited(error: Any) -> BillingError:
    return _unavailable(error, "Stripe limits our rate.", RATE_LIMITED)


def _unreachable(error: Any) -> BillingError:
    what = "Stripe did not answer."
    return _unavailable(error, what, "stripe_unreachable", outcome_known=False)


def _key_refused(_: Any) -> BillingError:
    return Misconfigured("Stripe refused our key.", code="stripe_key_refused")


def permission_missing(error: BillingError) -> bool:
    """Say whether Stripe refused because our key lacks a right, or access to an account."""
    return error.code == RIGHT_MISSING or error.status == HTTPStatus.FORBIDDEN


def _not_permitted(error: stripe.PermissionError) -> BillingError:
    """Distinguish a right that our key lacks from an account that the caller may not use.

    Stripe reports a problem of an account by a code (`account_invalid`, …), and a missing right of
    the key by a sentence.
    """
    # The SDK has the code of a 403 only in the body.
    code = str(_body(error).get("code") or "")
    if code and not code.startswith(KEY_CODES):
        return CallerError(
            _message(error, "Stripe refuses this account."),
            status=HTTPStatus.FORBIDDEN,
            code=code,
            stripe_request_id=error.request_id,
        )
    return Misconfigured(
        "Our Stripe key lacks a permission; see the operation in the log.",
        code=RIGHT_MISSING,
        stripe_request_id=error.request_id,
    )


def _mismatch(_: Any) -> BillingError:
    return Inconsistent(
        "Stripe knows this idempotency key from a request with other parameters.",
        code="stripe_idempotency_mismatch",
    )


def _badly_signed(_: Any) -> BillingError:
    return CallerError(
        "The signature does not match the body, the secret or the time.", code="invalid_signature"
    )


# Final errors, unless Stripe says otherwise.
REFUSALS = (stripe.InvalidRequestError, stripe.PermissionError)
# The first match decides; the SDK's classes are siblings but for StripeError above them all.
_TRANSLATIONS: tuple[tuple[type[stripe.StripeError], Callable[[Any], BillingError]], ...] = (
    (stripe.CardError, _decline),
    (stripe.RateLimitError, _rate_limited),
    (stripe.APIConnectionError, _unreachable),
    (stripe.AuthenticationError, _key_refused),
    (stripe.PermissionError, _not_permitted),
    (stripe.IdempotencyError, _mismatch),
    (stripe.InvalidRequestError, _bad_request),
    (stripe.SignatureVerificationError, _badly_signed),
)
