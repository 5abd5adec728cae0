"""Amounts that the command line prints, with the decimals of their currency."""

from __future__ import annotations

import pytest

from cli.money import money


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (30304, "usd", "303.04 USD"),
        (5, "eur", "0.05 EUR"),
        (0, "sgd", "0.00 SGD"),
        (-2759, "usd", "-27.59 USD"),
        (3058, "jpy", "3058 JPY"),
        (3080, "kwd", "3.080 KWD"),
        (123456, "huf", "1234.56 HUF"),
        (1000, "SGD", "10.00 SGD"),
        (1000, None, "1000"),
        (None, "sgd", "-"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(
    value: int | None, currency: str | None, text: str
) -> None:
    assert money(value, currency) == text
