from __future__ import annotations

import pytest

from tests.contract.client import Api

# Smallest charge in the currency's smallest unit.
MINIMUM = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
ZERO_DECIMAL = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()
THREE_DECIMAL = ("bhd", "jod", "kwd", "omr", "tnd")


@pytest.mark.parametrize(("currency", "minimum"), MINIMUM.items(), ids=MINIMUM)
def test_each_currency_has_its_minimum(api: Api, currency: str, minimum: int) -> None:
    below = api.post("/v1/payment_intents", {"amount": minimum - 1, "currency": currency})
    assert (below.status, below.error["code"]) == (400, "amount_too_small")
    assert below.error["param"] == "amount"
    at = api.post("/v1/payment_intents", {"amount": minimum, "currency": currency})
    assert (at.status, at.body.get("amount")) == (200, minimum)


def test_eight_digits_are_the_most(api: Api) -> None:
    most = 99_999_999
    assert api.post("/v1/payment_intents", {"amount": most, "currency": "usd"}).status == 200
    above = api.post("/v1/payment_intents", {"amount": most + 1, "currency": "usd"})
    assert (above.status, above.error["code"]) == (400, "amount_too_large")


def test_rupiahs_have_twelve_digits(api: Api) -> None:
    most = 999_999_999_999
    assert api.post("/v1/payment_intents", {"amount": most, "currency": "idr"}).status == 200
    assert api.post("/v1/payment_intents", {"amount": most + 1, "currency": "idr"}).status == 400


@pytest.mark.parametrize("currency", ZERO_DECIMAL)
def test_currencies_without_a_minor_unit_are_taken(api: Api, currency: str) -> None:
    form = {"amount": 500_001, "currency": currency}
    assert api.make("/v1/payment_intents", form)["amount"] == 500_001


@pytest.mark.parametrize("currency", THREE_DECIMAL)
def test_three_decimals_end_in_zero(api: Api, currency: str) -> None:
    assert api.post("/v1/payment_intents", {"amount": 5120, "currency": currency}).status == 200
    assert api.post("/v1/payment_intents", {"amount": 5124, "currency": currency}).status == 400


@pytest.mark.parametrize("currency", ["isk", "ugx"])
def test_two_currencies_are_passed_in_hundredths_they_do_not_have(api: Api, currency: str) -> None:
    form = {"currency": currency}
    assert api.post("/v1/payment_intents", form | {"amount": 500_000}).status == 200
    assert api.post("/v1/payment_intents", form | {"amount": 500_050}).status == 400


def test_currencies_come_back_in_lower_case(api: Api) -> None:
    assert api.make("/v1/payment_intents", {"amount": 500, "currency": "EUR"})["currency"] == "eur"


def test_negative_amounts_are_refused(api: Api) -> None:
    answer = api.post("/v1/payment_intents", {"amount": -500, "currency": "usd"})
    assert (answer.status, answer.error["param"]) == (400, "amount")
