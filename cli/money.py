"""Print amounts as people read them: `12.50 SGD`."""

from __future__ import annotations

from shared.printable import printable

# Source: Stripe's "Supported currencies". HUF, ISK, TWD and UGX have two decimals in its API.
ZERO_DECIMALS = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMALS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))


def money(value: int | None, currency: str | None) -> str:
    """Format an amount, given in the currency's smallest unit, with its decimals and its code.

    Without a currency it is the bare number, as nobody knows its decimals; `-` without an amount.
    """
    if value is None:
        return "-"
    if not currency:
        return str(value)
    digits = _decimals(currency.lower())
    whole, rest = divmod(abs(value), 10**digits)
    figure = f"{whole}.{rest:0{digits}d}" if digits else str(whole)
    return f"{'-' if value < 0 else ''}{figure} {printable(currency.upper())}"


def _decimals(currency: str) -> int:
    if currency in ZERO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2
