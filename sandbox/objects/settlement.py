"""Convert charges into the currency in which the account is paid out.

The rates are fixed, so that the same payment settles to the same amount in every run. Currencies
without a rate are not converted, as at Stripe if the account has a bank account in them.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from sandbox.objects import money

DOLLARS: Final = {
    currency: Decimal(rate)
    for currency, rate in zip(
        "usd aed aud bgn brl cad chf czk dkk eur gbp hkd huf inr jpy mxn myr nok nzd pln ron sek "
        "sgd thb".split(),
        "1 .272 .66 .55 .18 .73 1.12 .043 .145 1.08 1.27 .128 .0028 .012 .0067 .055 .22 .094 .6 "
        ".25 .217 .095 .74 .028".split(),
        strict=True,
    )
}
"""US dollars for one major unit; rounded rates of 2024."""
RATE_DIGITS: Final = 6


@dataclass(frozen=True)
class Settled:
    """A settled amount; the rate is null if nothing was converted."""

    amount: int
    currency: str
    rate: float | None


def settle(amount: int, currency: str, into: str | None) -> Settled:
    """Return an amount in the currency of the account."""
    if into in (None, currency) or currency not in DOLLARS or into not in DOLLARS:
        return Settled(amount, currency, None)
    rate = round(DOLLARS[currency] / DOLLARS[into], RATE_DIGITS)
    major = Decimal(amount).scaleb(-money.decimals(currency)) * rate
    minor = major.scaleb(money.decimals(into)).quantize(Decimal(1), ROUND_HALF_UP)
    return Settled(int(minor), into, float(rate))
