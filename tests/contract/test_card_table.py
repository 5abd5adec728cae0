"""Every documented test card, by id, token and number, and the texts of each decline."""

from __future__ import annotations

import pytest

from tests.contract.client import Api
from tests.contract.purchases import pay, try_to_pay
from tests.contract.test_cards import NO_RAW_CARDS, OPEN, card, checks_of

BRANDS = {
    "visa": ("visa", "credit", "US"),
    "mastercard_debit": ("mastercard", "debit", "US"),
    "mastercard_prepaid": ("mastercard", "prepaid", "US"),
    "discover": ("discover", "credit", "US"),
    "diners": ("diners", "credit", "US"),
    "jcb": ("jcb", "credit", "JP"),
    "unionpay": ("unionpay", "credit", "CN"),
    "visa_cartesBancaires": ("visa", "credit", "FR"),
    "us": ("visa", "credit", "US"),
    "hu": ("visa", "credit", "HU"),
    "in": ("visa", "credit", "IN"),
    "gb_debit": ("visa", "debit", "GB"),
    "gb_mastercard": ("mastercard", "credit", "GB"),
    "th_debit": ("visa", "debit", "TH"),
}
NUMBERS = {
    "2223003122003222": "mastercard",
    "5200828282828210": "mastercard",
    "371449635398431": "amex",
    "6011000990139424": "discover",
    "36227206271667": "diners",
    "6205500000000000004": "unionpay",
    "4000003560000008": "visa",
    "4000000000000044": "visa",
}
# The texts in the error and in the charge's outcome.
DECLINES = {
    "pm_card_chargeDeclined": ("01", None, "try_again_later", None),
    "pm_card_chargeDeclinedVelocityLimitExceeded": ("61", "02", "try_again_later", None),
    "pm_card_chargeDeclinedProcessingError": ("06", "02", "try_again_later", None),
    "pm_card_chargeDeclinedExpiredCard": ("54", "01", "confirm_card_data", "exp_month"),
    "pm_card_chargeDeclinedLostCard": ("41", "03", "do_not_try_again", None),
}


@pytest.mark.parametrize(("name", "fields"), BRANDS.items(), ids=BRANDS)
def test_an_id_and_its_token_stand_for_a_card(
    api: Api, name: str, fields: tuple[str, str, str]
) -> None:
    by_token = api.make("/v1/payment_methods", {"type": "card", "card[token]": f"tok_{name}"})
    by_id = api.find(f"/v1/payment_methods/pm_card_{name}")
    for method in (by_token, by_id):
        card = method["card"]
        assert (card["brand"], card["funding"], card["country"]) == fields
    assert by_id["id"] != f"pm_card_{name}"
    assert pay(api, f"pm_card_{name}")["status"] == "succeeded"


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize(("number", "brand"), NUMBERS.items())
def test_a_number_without_an_id_pays(api: Api, number: str, brand: str) -> None:
    method = card(api, number).body
    assert (method["card"]["brand"], method["card"]["last4"]) == (brand, number[-4:])
    assert pay(api, method["id"])["status"] == "succeeded"


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize("number", ["4539578763621486", "4000001230000002"])
def test_an_unknown_number_is_declined_as_test_mode_does(api: Api, number: str) -> None:
    refusal = card(api, number)
    assert (refusal.status, refusal.error["code"]) == (402, "card_declined")
    assert refusal.error["decline_code"] == "test_mode_live_card"


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize(
    ("name", "line1", "postal_code"),
    [
        ("visa", "pass", "pass"),
        ("avsLine1Fail", "fail", "pass"),
        ("avsZipFail", "pass", "fail"),
        ("avsFail", "fail", "fail"),
        ("avsUnchecked", "unavailable", "unavailable"),
    ],
)
def test_an_address_is_checked_at_the_payment(
    api: Api, name: str, line1: str, postal_code: str
) -> None:
    address = {
        "billing_details[address][line1]": "1 Main Street",
        "billing_details[address][postal_code]": "94103",
    }
    method = api.make(
        "/v1/payment_methods", {"type": "card", "card[token]": f"tok_{name}"} | address
    )
    assert method["card"]["checks"]["address_postal_code_check"] == "unchecked"
    checks = checks_of(pay(api, method["id"], **OPEN))
    assert checks["address_line1_check"] == line1
    assert checks["address_postal_code_check"] == postal_code


def test_risk_is_told_in_the_outcome(api: Api) -> None:
    risky = pay(api, "pm_card_riskLevelElevated", **OPEN)["latest_charge"]
    assert risky["outcome"]["risk_level"] == "elevated"
    blocked = try_to_pay(api, "pm_card_riskLevelHighest").error
    outcome = api.find(f"/v1/charges/{blocked['charge']}")["outcome"]
    assert (outcome["risk_level"], outcome["type"]) == ("highest", "blocked")


def test_an_old_3d_secure_token_asks_for_action(api: Api) -> None:
    form = {"type": "card", "card[token]": "tok_threeDSecureRequired"}
    method = api.make("/v1/payment_methods", form)
    assert pay(api, method["id"])["status"] == "requires_action"


@pytest.mark.parametrize(("method", "expectation"), DECLINES.items(), ids=DECLINES)
def test_a_decline_has_its_details(
    api: Api, method: str, expectation: tuple[str, str | None, str, str | None]
) -> None:
    network_code, network_advice, advice, param = expectation
    error = try_to_pay(api, method).error
    assert error["network_decline_code"] == network_code
    assert error.get("network_advice_code") == network_advice
    assert error["advice_code"] == advice
    assert error.get("param") == param
    outcome = api.find(f"/v1/charges/{error['charge']}")["outcome"]
    assert outcome["network_advice_code"] == network_advice
    decline_code = error["decline_code"]
    expected = (
        "The bank did not return any further details with this decline."
        if decline_code == "generic_decline"
        else f"The bank returned the decline code `{decline_code}`."
    )
    assert outcome["seller_message"] == expected


def test_a_wrong_cvc_names_its_parameter(api: Api) -> None:
    error = try_to_pay(api, "pm_card_chargeDeclinedIncorrectCvc").error
    assert (error["param"], error["advice_code"]) == ("cvc", "confirm_card_data")


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize(
    "number", ["4000582600000094", "4000582600000045", "4000582600000102", "4000582600000110"]
)
def test_a_card_of_the_apps_asks_for_action(api: Api, number: str) -> None:
    assert pay(api, card(api, number).body["id"])["status"] == "requires_action"


@pytest.mark.fake_only(reason="Stripe has them")
def test_a_card_that_is_not_simulated_says_so(api: Api) -> None:
    for refusal in (
        try_to_pay(api, "pm_card_createComplianceDispute"),
        card(api, "4000008400000779"),
    ):
        assert (refusal.status, refusal.error["code"]) == (400, "card_not_simulated")
        assert "`createComplianceDispute` is not simulated" in refusal.error["message"]
