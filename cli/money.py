"""Print amounts as people read them: `12.50 SGD`."""

from __future__ import annotations

from shared.currencies import decimals
from shared.printable import printable


def money(value: int | None, currency: str | None) -> str:
    """Format an amount, given in the currency's smallest unit, with its decimals and its code.

    Without a currency it is the bare number, as nobody knows its decimals; `-` without an amount.
    """
    if value is None:
        return "-"
    if not currency:
        return str(value)
    digits = decimals(currency.lower())
    whole, rest = divmod(abs(value), 10**digits)
    figure = f"{whole}.{rest:0{digits}d}" if digits else str(whole)
    return f"{'-' if value < 0 else ''}{figure} {printable(currency.upper())}"
