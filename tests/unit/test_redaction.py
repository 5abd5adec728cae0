"""Secrets, keys and card numbers never reach a log line."""

import pytest

from shared.card_numbers import REDACTED, holds_card_number
from shared.telemetry.logging import redact

CARDS = ["4242424242424242", "4242 4242 4242 4242", "5555-5555-5555-4444", "378282246310005"]
NOT_CARDS = [
    "1795394170121",
    "pi_3a8c3zNQqKkfp15padcdPwIq",
    "4242424242424241",
    "0000000000000000",
    "req_4242424242424241abc",
    "2026-11-23T00:36:10.123456Z",
]


@pytest.mark.parametrize("card", CARDS)
def test_a_card_number_is_seen_and_blackened(card: str) -> None:
    line = f"the customer wrote {card}, thank you"
    assert holds_card_number(line)
    assert redact(line) == f"the customer wrote {REDACTED}, thank you"


@pytest.mark.parametrize("text", NOT_CARDS)
def test_ordinary_numbers_and_ids_are_left_alone(text: str) -> None:
    assert not holds_card_number(text)
    assert redact(text) == text


@pytest.mark.parametrize(
    "secret",
    ["sk_live_abcdefgh12345678", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZ", "pi_1_secret_abcdefgh12345"],
)
def test_the_shape_of_a_secret_is_enough_to_blacken_it(secret: str) -> None:
    assert "abcdefgh" not in redact(f"key {secret} was used")
    assert "MfKQ9r8" not in redact(f"key {secret} was used")
