"""Look-ups at Stripe that only add to what an event says: a refusal never costs the event's fact.

Stripe refuses with 404 what is gone, and with 403 what our key may not read.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from shared.errors import CallerError, Misconfigured, Unavailable
from shared.stripe.event import reference
from shared.stripe.gateway import StripeGateway
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
Json = dict[str, Any]
NOT_SHOWN = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)


def refused(error: CallerError | Misconfigured) -> bool:
    """Say whether Stripe only does not show us the thing; anything else is a failure."""
    return isinstance(error, Misconfigured) or error.status in NOT_SHOWN


def balance_transaction(stripe: StripeGateway, booked: str, account: str | None) -> Json:
    """Give a balance transaction, or nothing: a fee is worth no delay of the fact it adorns."""
    try:
        return stripe.balance_transaction(booked, account)
    except (CallerError, Misconfigured, Unavailable) as error:
        log.info("balance_transaction_not_shown", id=booked, error=str(error))
        return {}


def payment(stripe: StripeGateway, payment_id: str, account: str | None) -> Json:
    """Give a payment intent or, of a `ch_…`, the charge; nothing when it is not shown."""
    read = stripe.payment if payment_id.startswith("pi_") else stripe.charge
    try:
        return read(payment_id, account)
    except (CallerError, Misconfigured) as error:
        if not refused(error):
            raise
        log.info("payment_not_shown", payment_id=payment_id, error=str(error))
        return {}


def intent_of(stripe: StripeGateway, charge_id: str, account: str | None) -> str | None:
    """Name the payment intent a charge belongs to; None for none, or when it is not shown."""
    return reference(payment(stripe, charge_id, account).get("payment_intent"))
