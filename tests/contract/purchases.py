"""Make the payments with which most tests begin."""

from __future__ import annotations

from typing import Any

from tests.contract.client import Api

RETURN_URL = "https://example.com/after"


def create(api: Api, **form: Any) -> dict[str, Any]:
    """Create a card intent and leave it unconfirmed."""
    return api.make(
        "/v1/payment_intents",
        {"amount": 2000, "currency": "usd", "payment_method_types[]": "card"} | form,
    )


def pay(api: Api, payment_method: str = "pm_card_visa", **form: Any) -> dict[str, Any]:
    """Create and confirm an intent in one call; the answer must be 200."""
    return create(api, confirm="true", payment_method=payment_method, **form)


def authorize(api: Api, payment_method: str = "pm_card_visa", **form: Any) -> dict[str, Any]:
    """Authorise a payment without capturing it."""
    return pay(api, payment_method, capture_method="manual", **form)


def try_to_pay(api: Api, payment_method: str, **form: Any) -> Any:
    """Create and confirm an intent in one call; the answer may be a decline."""
    return api.post(
        "/v1/payment_intents",
        {
            "amount": 2000,
            "currency": "usd",
            "payment_method_types[]": "card",
            "confirm": "true",
            "payment_method": payment_method,
        }
        | form,
    )
