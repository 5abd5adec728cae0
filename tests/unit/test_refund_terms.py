"""The refund of each payment of a batch: shares, fees, rounding, payments that are left out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.currencies import step
from shared.payment_summary import PaymentSummary
from shared.refund_terms import LeftOut, Rate, Share, Terms, needed, rates, share

CURRENCIES = ("sgd", "jpy", "kwd", "isk")


def payment(**changes: object) -> PaymentSummary:
    defaults: dict[str, object] = {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 1000,
        "amount_received": 1000,
        "amount_refunded": 0,
        "currency": "sgd",
        "charge_id": "ch_1",
        "created": 1,
        "livemode": False,
        "description": None,
        "customer_email": None,
        "account": None,
        "metadata": {},
        "disputes": [],
        "fee": 59,
        "net": 941,
        "settlement_currency": "sgd",
    }
    return PaymentSummary(**(defaults | changes))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("changes", "terms", "amount"),
    [
        ({}, Terms(), 1000),
        ({"amount_refunded": 300}, Terms(), 700),
        ({}, Terms(percent=Decimal(50)), 500),
        ({"amount_received": 999}, Terms(percent=Decimal(50)), 499),
        ({"amount_received": 333}, Terms(percent=Decimal("33.33")), 110),
        ({"amount_refunded": 700}, Terms(percent=Decimal(50)), 300),
        ({"amount_refunded": 300}, Terms(percent=Decimal(100)), 700),
        ({}, Terms(amount=250), 250),
        ({"amount_refunded": 900}, Terms(amount=250), 100),
        ({}, Terms(keep_fee=50), 950),
        ({}, Terms(keep_fee="stripe_fee"), 941),
        ({}, Terms(percent=Decimal(50), keep_fee=100), 400),
        ({"amount_refunded": 700}, Terms(keep_fee=50), 250),
        # A fee of 59 of 1,000 US cents for a payment of 1,500: 88.5, and the fee is rounded up.
        (
            {"amount_received": 1500, "settlement_currency": "usd"},
            Terms(keep_fee="stripe_fee"),
            1411,
        ),
        ({"currency": "jpy", "amount_received": 101}, Terms(percent=Decimal(50)), 50),
        ({"currency": "kwd", "amount_received": 1010}, Terms(percent=Decimal(50)), 500),
        ({"currency": "kwd", "amount_received": 1010}, Terms(), 1010),
        ({"currency": "isk", "amount_received": 500}, Terms(percent=Decimal(50)), 200),
    ],
)
def test_a_share_is_rounded_down_and_never_more_than_is_left(
    changes: dict[str, object], terms: Terms, amount: int
) -> None:
    assert share(payment(**changes), terms) == Share(amount)


@pytest.mark.parametrize(
    ("changes", "terms", "reason"),
    [
        ({"status": None, "amount": None}, Terms(), LeftOut.UNKNOWN_PAYMENT),
        ({"account": "acct_1"}, Terms(), LeftOut.OTHER_ACCOUNT),
        ({}, Terms(account="acct_1"), LeftOut.OTHER_ACCOUNT),
        ({"status": "requires_capture", "amount_received": 0}, Terms(), LeftOut.NOT_CAPTURED),
        ({"amount_received": None}, Terms(), LeftOut.NOT_CAPTURED),
        ({}, Terms(currency="usd"), LeftOut.CURRENCY_MISMATCH),
        ({"amount_refunded": 1000}, Terms(), LeftOut.ALREADY_REFUNDED),
        ({"disputes": [{"status": "needs_response"}]}, Terms(), LeftOut.DISPUTED),
        ({"disputes": [{"status": "lost"}]}, Terms(), LeftOut.DISPUTED),
        # Of several disputes, any one that may take the money is an obstacle.
        (
            {"disputes": [{"status": "warning_closed"}, {"status": "lost"}]},
            Terms(),
            LeftOut.DISPUTED,
        ),
        (
            {"disputes": [{"status": "needs_response"}, {"status": "won"}]},
            Terms(),
            LeftOut.DISPUTED,
        ),
        ({"fee": None, "net": None}, Terms(keep_fee="stripe_fee"), LeftOut.FEE_UNKNOWN),
        ({}, Terms(keep_fee=1000), LeftOut.UNDER_MINIMUM),
        ({"amount_received": 1}, Terms(percent=Decimal(50)), LeftOut.UNDER_MINIMUM),
        ({"currency": "kwd"}, Terms(amount=9), LeftOut.UNDER_MINIMUM),
    ],
)
def test_a_payment_is_left_out_for_a_reason(
    changes: dict[str, object], terms: Terms, reason: LeftOut
) -> None:
    assert share(payment(**changes), terms) == Share(left_out=reason)


@pytest.mark.parametrize("status", ["won", "warning_needs_response", "warning_closed"])
def test_a_dispute_that_took_no_money_is_no_obstacle(status: str) -> None:
    harmless = [{"status": status}, {"status": "won"}]
    assert share(payment(disputes=harmless), Terms()) == Share(1000)


@given(
    received=st.integers(1, 10**9),
    refunded=st.integers(0, 10**9),
    currency=st.sampled_from(CURRENCIES),
    percent=st.decimals(min_value="0.01", max_value=100, places=2),
    fee=st.integers(0, 10**6),
)
def test_no_share_is_more_than_is_left_or_than_the_terms_say(
    received: int, refunded: int, currency: str, percent: Decimal, fee: int
) -> None:
    smallest = step(currency)
    received, refunded = received * smallest, min(refunded, received) * smallest
    one = payment(amount_received=received, amount_refunded=refunded, currency=currency)
    part = share(one, Terms(percent=percent, keep_fee=fee))
    assert 0 <= part.amount <= received - refunded
    assert part.amount * 100 <= received * percent
    assert part.amount % smallest == 0
    assert (part.amount > 0) == (part.left_out is None)


def test_what_is_needed_of_the_balance_is_converted_at_the_rates_of_the_payments() -> None:
    rates_of = rates([payment(settlement_currency="usd", fee=50, net=700), payment(currency="jpy")])
    assert rates_of["sgd"] == Rate("usd", 750, 1000)
    assert needed({"sgd": 2001, "eur": 5}, rates_of) == {"usd": 1501, "eur": 5}


def test_kept_terms_are_read_as_they_were() -> None:
    terms = Terms(Decimal("12.5"), None, "stripe_fee", "sgd", "acct_1")
    assert Terms.of(terms.as_json(), "acct_1") == terms
