from __future__ import annotations

import pytest

from sandbox.objects import money
from sandbox.world.errors import StripeError


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (50, "usd"),
        (30, "gbp"),
        (50, "jpy"),
        (17_500, "huf"),
        (99_999_999, "usd"),
        (999_999_999_999, "idr"),
        (100, "isk"),
        (1000, "kwd"),
    ],
)
def test_an_amount_at_the_edge_is_taken(amount: int, currency: str) -> None:
    money.check_amount(amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (49, "usd", "amount_too_small"),
        (49, "jpy", "amount_too_small"),
        (1499, "czk", "amount_too_small"),
        (100_000_000, "usd", "amount_too_large"),
        (150, "isk", None),
        (1001, "kwd", None),
    ],
)
def test_an_amount_past_the_edge_is_refused(amount: int, currency: str, code: str | None) -> None:
    with pytest.raises(StripeError) as refusal:
        money.check_amount(amount, currency)
    assert refusal.value.status == 400
    assert refusal.value.error.get("code") == code


@pytest.mark.parametrize(
    ("amount", "currency", "answer"),
    [
        (3000, "usd", "$30.00"),
        (50, "jpy", "¥50"),
        (1000, "kwd", "1.000"),
        (123_456, "eur", "€1,234.56"),
    ],
)
def test_amounts_are_shown_with_their_decimals(amount: int, currency: str, answer: str) -> None:
    assert money.format_amount(amount, currency) == answer
