"""Currencies: their decimals, and the steps of amounts that Stripe accepts, in the smallest unit.

Source: Stripe's "Supported currencies", on zero-decimal, three-decimal and special-case currencies.
"""

from __future__ import annotations

ZERO_DECIMALS = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
# Amounts have three decimals, of which the last must be 0.
THREE_DECIMALS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
THREE_DECIMAL_STEP = 10
# These currencies have no decimals any more, but their amounts are still in hundredths.
WITHOUT_HUNDREDTHS = frozenset(("isk", "ugx"))
HUNDREDTHS = 100


def step(currency: str) -> int:
    """Return the smallest difference between two amounts of a currency at Stripe."""
    if currency in THREE_DECIMALS:
        return THREE_DECIMAL_STEP
    return HUNDREDTHS if currency in WITHOUT_HUNDREDTHS else 1


def decimals(currency: str) -> int:
    """Return the number of decimals that Stripe's smallest unit of a currency stands for."""
    if currency in ZERO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2
