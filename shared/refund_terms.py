"""The terms of a batch of refunds: the amount of each refund, and payments left out. Pure.

Amounts are whole numbers of the currency's smallest unit. They are rounded down to amounts that
Stripe accepts (`shared.currencies.py`), so that a refund is never more than the terms say; a
fee to keep is rounded up when it has to be converted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from shared.currencies import step
from shared.payment_summary import PaymentSummary

Json = dict[str, Any]
STRIPE_FEE = "stripe_fee"
HUNDRED = 100
# Disputes in which Stripe lets a charge be refunded: it was won, or is an inquiry only.
REFUNDABLE_DISPUTES = frozenset(
    ("won", "warning_needs_response", "warning_under_review", "warning_closed", "prevented")
)


class LeftOut(StrEnum):
    """The reasons to leave a payment out of a batch."""

    UNKNOWN_PAYMENT = "unknown_payment"
    OTHER_ACCOUNT = "other_account"
    NOT_CAPTURED = "not_captured"
    CURRENCY_MISMATCH = "currency_mismatch"
    ALREADY_REFUNDED = "already_refunded"
    DISPUTED = "disputed"
    FEE_UNKNOWN = "fee_unknown"
    UNDER_MINIMUM = "under_minimum"


# Codes of a refusal which mean that there is nothing to refund: Stripe's, and one of ours.
LEFT_OUT_BY_STRIPE = {
    "charge_already_refunded": LeftOut.ALREADY_REFUNDED,
    "charge_disputed": LeftOut.DISPUTED,
    "under_minimum": LeftOut.UNDER_MINIMUM,
}


@dataclass(frozen=True)
class Terms:
    """The amount to refund of each payment: a percentage, an amount, or all that is left.

    `keep_fee` is the part to keep: an amount, or `stripe_fee`. `currency`, if given, is the only
    one that is refunded; `account` is the connected account, empty for our own.
    """

    percent: Decimal | None = None
    amount: int | None = None
    keep_fee: int | str | None = None
    currency: str | None = None
    account: str = ""

    @property
    def has_fixed_amounts(self) -> bool:
        """Say whether an amount is given, whose value differs in each currency, as 0 does not."""
        return bool(self.amount) or (isinstance(self.keep_fee, int) and self.keep_fee > 0)

    def as_json(self) -> Json:
        """Return the terms as JSON; the percentage is a text, so that it stays exact."""
        return {
            "percent": None if self.percent is None else f"{self.percent:f}",
            "amount": self.amount,
            "keep_fee": self.keep_fee,
            "currency": self.currency,
        }

    @classmethod
    def of(cls, fields: Json, account: str) -> Terms:
        """Read terms as `as_json` gave them."""
        percent = fields["percent"]
        return cls(
            percent=None if percent is None else Decimal(percent),
            amount=fields["amount"],
            keep_fee=fields["keep_fee"],
            currency=fields["currency"],
            account=account,
        )


@dataclass(frozen=True)
class Share:
    """The refund of a payment under some terms: an amount, or 0 and why it is left out."""

    amount: int = 0
    left_out: LeftOut | None = None


def share(payment: PaymentSummary, terms: Terms) -> Share:
    """Compute the refund of a payment from its state."""
    if reason := _left_out(payment, terms):
        return Share(left_out=reason)
    left = _received(payment) - payment.amount_refunded
    target = min(left, _amount_before_fee(payment, terms, left))
    fee = _fee(payment, terms)
    if fee is None:
        return Share(left_out=LeftOut.FEE_UNKNOWN)
    amount = target if target == left and not fee else _round_down(target - fee, payment)
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
    statuses = {dispute["status"] for dispute in payment.disputes}
    return None if statuses <= REFUNDABLE_DISPUTES else LeftOut.DISPUTED


def _received(payment: PaymentSummary) -> int:
    return payment.amount_received or 0


def _amount_before_fee(payment: PaymentSummary, terms: Terms, left: int) -> int:
    if terms.amount is not None:
        return terms.amount
    if terms.percent is not None and terms.percent < HUNDRED:
        return _round_down(int(_received(payment) * terms.percent / HUNDRED), payment)
    return left


def _round_down(amount: int, payment: PaymentSummary) -> int:
    """Round down to an amount that Stripe accepts; at least 0."""
    smallest = step(payment.currency or "")
    return max(0, amount) // smallest * smallest


def _fee(payment: PaymentSummary, terms: Terms) -> int | None:
    """Compute the fee to keep, in the payment's currency; None when Stripe's fee is unknown."""
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
    """The rate at which a currency settled: `settled` of `currency` for `amount` of payments."""

    currency: str
    settled: int
    amount: int

    def convert(self, amount: int) -> int:
        """Convert an amount into the currency of the balance, rounded up."""
        return -(-amount * self.settled // self.amount)


def rates(payments: Iterable[PaymentSummary]) -> dict[str, Rate]:
    """Read the rate of each currency from payments whose fees are known.

    A currency without such payments has no rate; its refunds are taken from its own balance.
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
    """Convert amounts by currency into the amounts that the balance needs, by its currency."""
    sums: dict[str, int] = {}
    for currency, amount in amounts.items():
        rate = known_rates.get(currency, Rate(currency, 1, 1))
        sums[rate.currency] = sums.get(rate.currency, 0) + rate.convert(amount)
    return {currency: amount for currency, amount in sums.items() if amount}


@dataclass(frozen=True)
class Fund:
    """The balance that refunds need in one currency, and the available balance.

    `available` is None when the balance cannot be read, or it is unknown which one pays them.
    """

    currency: str
    needed: int
    available: int | None

    @property
    def missing(self) -> int | None:
        """Return the amount that the balance lacks; None when it is unknown."""
        return None if self.available is None else max(0, self.needed - self.available)


def funds(
    amounts: dict[str, int], known_rates: dict[str, Rate], available: dict[str, int] | None
) -> list[Fund]:
    """Compare amounts by currency with the balance; `available` is None when it is unknown.

    Refunds whose currency has neither a rate nor a balance are paid from another balance, and
    Stripe has not said which one yet.
    """
    there = available or {}
    settled = there.keys() | {rate.currency for rate in known_rates.values()}
    return [
        Fund(
            currency,
            amount,
            None if available is None or currency not in settled else there.get(currency, 0),
        )
        for currency, amount in sorted(needed(amounts, known_rates).items())
    ]
