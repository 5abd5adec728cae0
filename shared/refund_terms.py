"""The terms of a batch of refunds: what each payment is refunded, and which are left out.

All of it is pure. Amounts are whole numbers of the currency's smallest unit, and whatever has to
be rounded is rounded down to what Stripe takes (`shared/stripe/currencies.py`), so that never more
goes back than the terms say; a fee that is kept is rounded up when it has to be converted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from shared.payment_summary import PaymentSummary
from shared.stripe.currencies import step

Json = dict[str, Any]
STRIPE_FEE = "stripe_fee"
HUNDRED = 100
# Disputes in which Stripe lets a charge be refunded: it was won, or is an inquiry only.
REFUNDABLE_DISPUTES = frozenset(
    ("won", "warning_needs_response", "warning_under_review", "warning_closed", "prevented")
)


class LeftOut(StrEnum):
    """Why a payment is no part of what a batch refunds."""

    UNKNOWN_PAYMENT = "unknown_payment"
    OTHER_ACCOUNT = "other_account"
    NOT_CAPTURED = "not_captured"
    CURRENCY_MISMATCH = "currency_mismatch"
    ALREADY_REFUNDED = "already_refunded"
    DISPUTED = "disputed"
    FEE_UNKNOWN = "fee_unknown"
    UNDER_MINIMUM = "under_minimum"


# What Stripe's refusal of a refund says, where it says that there is nothing to refund.
LEFT_OUT_BY_STRIPE = {
    "charge_already_refunded": LeftOut.ALREADY_REFUNDED,
    "charge_disputed": LeftOut.DISPUTED,
}


@dataclass(frozen=True)
class Terms:
    """What is refunded of each payment: a percentage, an amount, or all that is left.

    `keep_fee` is kept of it: an amount, or `stripe_fee`. `currency` is the only one that is
    refunded, if it is given; `account` the connected account, empty for our own.
    """

    percent: Decimal | None = None
    amount: int | None = None
    keep_fee: int | str | None = None
    currency: str | None = None
    account: str = ""

    @property
    def has_fixed_amounts(self) -> bool:
        """Say whether an amount is given, which means another sum in each currency."""
        return self.amount is not None or isinstance(self.keep_fee, int)

    def as_json(self) -> Json:
        """Give the terms as they are kept and shown; the percentage is a text, for it is exact."""
        return {
            "percent": None if self.percent is None else str(self.percent),
            "amount": self.amount,
            "keep_fee": self.keep_fee,
            "currency": self.currency,
        }

    @classmethod
    def of(cls, kept: Json, account: str) -> Terms:
        """Read terms as `as_json` gave them."""
        percent = kept["percent"]
        return cls(
            percent=None if percent is None else Decimal(percent),
            amount=kept["amount"],
            keep_fee=kept["keep_fee"],
            currency=kept["currency"],
            account=account,
        )


@dataclass(frozen=True)
class Share:
    """What a payment is refunded under some terms: an amount, or 0 and why it is left out."""

    amount: int = 0
    left_out: LeftOut | None = None


def share(payment: PaymentSummary, terms: Terms) -> Share:
    """Work out what a payment is refunded, from what is known of it."""
    if reason := _left_out(payment, terms):
        return Share(left_out=reason)
    left = _received(payment) - payment.amount_refunded
    wanted = min(left, _wanted(payment, terms, left))
    fee = _fee(payment, terms)
    if fee is None:
        return Share(left_out=LeftOut.FEE_UNKNOWN)
    amount = wanted if wanted == left and not fee else _rounded(wanted - fee, payment)
    return Share(amount) if amount > 0 else Share(left_out=LeftOut.UNDER_MINIMUM)


def _left_out(payment: PaymentSummary, terms: Terms) -> LeftOut | None:
    if payment.status is None and payment.amount is None:
        return LeftOut.UNKNOWN_PAYMENT
    if (payment.account or "") != terms.account:
        return LeftOut.OTHER_ACCOUNT
    if not _received(payment):
        return LeftOut.NOT_CAPTURED
    if terms.currency not in (None, payment.currency):
        return LeftOut.CURRENCY_MISMATCH
    if payment.amount_refunded >= _received(payment):
        return LeftOut.ALREADY_REFUNDED
    dispute = payment.dispute or {"status": "won"}
    return None if dispute["status"] in REFUNDABLE_DISPUTES else LeftOut.DISPUTED


def _received(payment: PaymentSummary) -> int:
    return payment.amount_received or 0


def _wanted(payment: PaymentSummary, terms: Terms, left: int) -> int:
    if terms.amount is not None:
        return terms.amount
    if terms.percent is not None and terms.percent < HUNDRED:
        return _rounded(int(_received(payment) * terms.percent / HUNDRED), payment)
    return left


def _rounded(amount: int, payment: PaymentSummary) -> int:
    """Round down to what Stripe takes; below zero is nothing."""
    smallest = step(payment.currency or "")
    return max(0, amount) // smallest * smallest


def _fee(payment: PaymentSummary, terms: Terms) -> int | None:
    """Give what is kept, in the payment's currency; None where Stripe's fee is not known."""
    if terms.keep_fee != STRIPE_FEE:
        return int(terms.keep_fee or 0)
    if payment.fee is None or payment.net is None:
        return None
    if payment.settlement_currency == payment.currency:
        return payment.fee
    gross = payment.net + payment.fee
    return None if gross <= 0 else -(-payment.fee * _received(payment) // gross)


@dataclass(frozen=True)
class Rate:
    """How a currency settled so far: `settled` of `currency` for `amount` of the payments'."""

    currency: str
    settled: int
    amount: int

    def convert(self, amount: int) -> int:
        """Give what an amount comes to in the balance, rounded up."""
        return -(-amount * self.settled // self.amount)


def rates(payments: Iterable[PaymentSummary]) -> dict[str, Rate]:
    """Read from payments whose fees are known into which currency each currency settles.

    A currency of which nothing is known has none; its refunds are taken from its own balance.
    """
    by_currency: dict[str, Rate] = {}
    for one in payments:
        if one.currency is None or one.settlement_currency is None or not _received(one):
            continue
        gross = (one.net or 0) + (one.fee or 0)
        so_far = by_currency.get(one.currency, Rate(one.settlement_currency, 0, 0))
        if gross > 0 and so_far.currency == one.settlement_currency:
            settled, amount = so_far.settled + gross, so_far.amount + _received(one)
            by_currency[one.currency] = Rate(so_far.currency, settled, amount)
    return by_currency


def needed(amounts: dict[str, int], known_rates: dict[str, Rate]) -> dict[str, int]:
    """Give what amounts by currency need of the balance, by the currency of the balance."""
    sums: dict[str, int] = {}
    for currency, amount in amounts.items():
        rate = known_rates.get(currency, Rate(currency, 1, 1))
        sums[rate.currency] = sums.get(rate.currency, 0) + rate.convert(amount)
    return {currency: amount for currency, amount in sums.items() if amount}
