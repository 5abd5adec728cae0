"""Currencies: which exist, their decimals, and the smallest and largest amounts."""

from decimal import Decimal
from typing import Final

from sandbox.world import errors

CURRENCIES: Final = frozenset(
    """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn
    bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd
    gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak
    lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd
    omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std
    szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar
    zmw
    """.split()
)
ZERO_DECIMAL: Final = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()
)
THREE_DECIMAL: Final = frozenset("bhd jod kwd omr tnd".split())
WHOLE_UNITS_TIMES_100: Final = frozenset({"isk", "ugx"})
"""Currencies without a minor unit whose amounts are still multiplied by 100, for old clients."""

MINIMUM_MAJOR: Final = {
    currency: Decimal(amount)
    for currency, amount in zip(
        "usd aed aud bgn brl cad chf czk dkk eur gbp hkd huf inr jpy mxn myr nok nzd pln ron sek "
        "sgd thb".split(),
        ".50 2 .50 1 .50 .50 .50 15 2.50 .50 .30 4 175 .50 50 10 2 3 .50 2 2 3 .50 10".split(),
        strict=True,
    )
}
"""Smallest charge in major units, from Stripe's list of minimum charge amounts."""
MAXIMUM_MINOR: Final = 99_999_999
"""Stripe takes at most eight digits,"""
MAXIMUM_MINOR_BY_CURRENCY: Final = {"idr": 999_999_999_999}
"""and twelve for the rupiah."""
SYMBOLS: Final = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def decimals(currency: str) -> int:
    """Return the number of decimal digits of a currency."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def format_amount(amount: int, currency: str) -> str:
    """Return an amount as Stripe's messages print it: `$30.00`."""
    major = Decimal(amount).scaleb(-decimals(currency))
    return f"{SYMBOLS.get(currency, '')}{major:,}"


def parse_currency(value: object, name: str) -> str:
    """Return the currency in lower case, or raise Stripe's 400."""
    currency = str(value).lower()
    if currency in CURRENCIES:
        return currency
    supported = ", ".join(sorted(CURRENCIES))
    message = f"Invalid currency: {value}. Stripe currently supports these currencies: {supported}"
    raise errors.invalid(message, name)


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Raise Stripe's 400 for an amount that cannot be charged in this currency."""
    minimum = int(MINIMUM_MAJOR.get(currency, Decimal(0)).scaleb(decimals(currency)))
    if amount < minimum:
        message = f"Amount must be at least {format_amount(minimum, currency)} {currency}"
        raise errors.invalid(message, param, "amount_too_small")
    maximum = MAXIMUM_MINOR_BY_CURRENCY.get(currency, MAXIMUM_MINOR)
    if amount > maximum:
        message = f"Amount must be no more than {format_amount(maximum, currency)} {currency}"
        raise errors.invalid(message, param, "amount_too_large")
    _check_granularity(amount, currency, param)


def _check_granularity(amount: int, currency: str, param: str) -> None:
    step = 1
    if currency in WHOLE_UNITS_TIMES_100:
        step = 100
    if currency in THREE_DECIMAL:
        step = 10
    if amount % step:
        message = f"Invalid amount: amounts in {currency} must be divisible by {step}."
        raise errors.invalid(message, param)
