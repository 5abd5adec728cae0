"""Look-ups at Stripe that only complete an event: a refusal never prevents the event's fact.

Stripe answers 404 for an object that is gone, and 403 for one that our key may not read.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from shared.errors import CallerError, Misconfigured, Unavailable
from shared.stripe.amounts import as_intent
from shared.stripe.event import reference
from shared.stripe.gateway import StripeGateway
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
Json = dict[str, Any]
NOT_SHOWN = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)


def is_hidden(error: CallerError | Misconfigured) -> bool:
    """Say whether the error means only that Stripe does not show us the object."""
    return isinstance(error, Misconfigured) or error.status in NOT_SHOWN


def balance_transaction(stripe: StripeGateway, booked: str, account: str | None) -> Json:
    """Return a balance transaction, or `{}` on any error: a missing fee must not delay a fact."""
    try:
        return stripe.balance_transaction(booked, account)
    except (CallerError, Misconfigured, Unavailable) as error:
        log.info("balance_transaction_not_shown", id=booked, error=str(error))
        return {}


def payment(stripe: StripeGateway, payment_id: str, account: str | None) -> Json:
    """Return a payment intent or, for a `ch_…`, the charge; `{}` if Stripe does not show it.

    Raises `Unavailable`, and `CallerError` for any other refusal.
    """
    read = stripe.payment if payment_id.startswith("pi_") else stripe.charge
    try:
        return read(payment_id, account)
    except (CallerError, Misconfigured) as error:
        if not is_hidden(error):
            raise
        log.info("payment_not_shown", payment_id=payment_id, error=str(error))
        return {}


def payment_as_intent(stripe: StripeGateway, payment_id: str, account: str | None) -> Json:
    """Return a payment intent, or a charge in its form; `{}` if Stripe does not show it.

    Raises as `payment` does.
    """
    answer = payment(stripe, payment_id, account)
    if not answer or payment_id.startswith("pi_"):
        return answer
    return as_intent(answer) | {"receipt_email": answer.get("receipt_email")}


def intent_of(stripe: StripeGateway, charge_id: str, account: str | None) -> str | None:
    """Return the payment intent of a charge; None if it has none or Stripe does not show it.

    Raises as `payment` does.
    """
    return reference(payment(stripe, charge_id, account).get("payment_intent"))
