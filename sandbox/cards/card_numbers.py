"""Remove raw card numbers from requests before any other code reads them.

This module replaces `card[number]` by a `Concealed` verdict: which test card it is, or why it is no
card. The verdict contains nothing of an unknown number, so no stored data (objects, events,
idempotency fingerprints, logs) can reveal one.
"""

import re
from typing import Any, Final

from sandbox.cards import test_data
from sandbox.world.luhn import is_luhn_valid
from sandbox.world.objects import Json

TEST_CARD: Final = "test-card:"
WRONG_CHECK_DIGIT: Final = "not-a-card:check-digit"
UNKNOWN: Final = "not-a-test-card"
CVC_GIVEN: Final = "given"
CVC_INVALID: Final = "invalid"

SEPARATORS: Final = re.compile(r"[\s-]+")
CVC: Final = re.compile(r"\d{3,4}")


def conceal(tree: Any) -> None:
    """Replace every card number and CVC in a parameter tree, in place."""
    for child in _children(tree):
        conceal(child)
    if isinstance(tree, dict) and isinstance(tree.get("card"), dict):
        _conceal_card(tree["card"])


def _children(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return list(tree.values())
    return tree if isinstance(tree, list) else []


def _conceal_card(card: Json) -> None:
    if "number" in card:
        card["number"] = verdict(str(card["number"]))
    if "cvc" in card:
        card["cvc"] = CVC_GIVEN if CVC.fullmatch(str(card["cvc"])) else CVC_INVALID


def verdict(number: str) -> str:
    """Return the test card of a number, or why it is none, without the number itself."""
    digits = SEPARATORS.sub("", number)
    card = test_data.BY_NUMBER.get(digits)
    if card is not None:
        return TEST_CARD + card.key
    if not digits.isascii() or not digits.isdigit() or not is_luhn_valid(digits):
        return WRONG_CHECK_DIGIT
    return UNKNOWN
