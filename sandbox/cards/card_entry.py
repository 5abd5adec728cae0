"""Check entered card data: number (already concealed), expiry, CVC."""

from datetime import UTC, datetime
from typing import Final

from sandbox.cards import card_numbers, declines, test_data
from sandbox.cards.test_data import TestCard
from sandbox.world import errors
from sandbox.world.objects import Json
from sandbox.world.world import Scope

MONTHS: Final = 12
CENTURY: Final = 100
MAX_YEARS_AHEAD: Final = 50


def card_from_token(token: str) -> TestCard:
    """Return the card behind a ready-made token, or raise Stripe's refusal."""
    card = test_data.card_by_token(token) if token.startswith("tok_") else None
    if card is None:
        raise errors.missing("token", token, "card[token]", status=400)
    return card


def card_from_number(scope: Scope, inputs: Json) -> TestCard:
    """Return the card behind a concealed number with valid data, or raise Stripe's refusal."""
    number = inputs.get("number")
    if number is None:
        message = "Missing required param: card[number]."
        raise errors.invalid(message, "card[number]", "parameter_missing")
    if number == card_numbers.WRONG_CHECK_DIGIT:
        raise errors.card_error(
            "incorrect_number", "Your card number is incorrect.", param="number"
        )
    if number == card_numbers.UNKNOWN:
        decline = declines.NOT_A_TEST_CARD
        raise errors.card_error(decline.code, decline.message, **decline.error_fields())
    _check_expiry(scope, inputs)
    if inputs.get("cvc") == card_numbers.CVC_INVALID:
        message = "Your card's security code is invalid."
        raise errors.card_error("invalid_cvc", message, param="cvc")
    return test_data.CARDS[number.removeprefix(card_numbers.TEST_CARD)]


def _full_year(year: int) -> int:
    return year + 2000 if year < CENTURY else year


def _check_expiry(scope: Scope, inputs: Json) -> None:
    for name in ("exp_month", "exp_year"):
        if name not in inputs:
            message = f"Missing required param: card[{name}]."
            raise errors.invalid(message, f"card[{name}]", "parameter_missing")
    today = datetime.fromtimestamp(scope.now, UTC)
    month, year = inputs["exp_month"], _full_year(inputs["exp_year"])
    if not 1 <= month <= MONTHS or (year == today.year and month < today.month):
        message = "Your card's expiration month is invalid."
        raise errors.card_error("invalid_expiry_month", message, param="exp_month")
    if not today.year <= year <= today.year + MAX_YEARS_AHEAD:
        message = "Your card's expiration year is invalid."
        raise errors.card_error("invalid_expiry_year", message, param="exp_year")


def expiry(inputs: Json) -> Json:
    """Return the part of the entered data that is stored."""
    return {
        "exp_month": inputs["exp_month"],
        "exp_year": _full_year(inputs["exp_year"]),
        "cvc_given": "cvc" in inputs,
    }
