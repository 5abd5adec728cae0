"""Stripe's test cards, by their ids and by their numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.client import Answer, Api
from tests.contract.diary import Diary
from tests.contract.purchases import pay, try_to_pay
from tests.contract.side import Side

OPEN = {"expand[]": "latest_charge"}
NO_RAW_CARDS = "Stripe refuses raw card numbers unless the account may send them"

SUCCEED = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_debit": "4000056655665556",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_bypassPending": "4000000000000077",
    "pm_card_cvcCheckFail": "4000000000000101",
    "pm_card_avsZipFail": "4000000000000036",
    "pm_card_createDispute": "4000000000000259",
    "pm_card_createDisputeProductNotReceived": "4000000000002685",
    "pm_card_createDisputeInquiry": "4000000000001976",
    "pm_card_createIssuerFraudRecord": "4000000000005423",
    "pm_card_createMultipleDisputes": "4000000404000079",
    "pm_card_pendingRefund": "4000000000007726",
    "pm_card_refundFail": "4000000000005126",
    "pm_card_threeDSecureOptional": "4000000000003055",
}

# For each id: the number, the code, and the decline code if there is one.
DECLINED = {
    "pm_card_chargeDeclined": ("4000000000000002", "card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclined": ("4000000000000002", "card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": (
        "4000000000009995",
        "card_declined",
        "insufficient_funds",
    ),
    "pm_card_chargeDeclinedLostCard": ("4000000000009987", "card_declined", "lost_card"),
    "pm_card_chargeDeclinedStolenCard": ("4000000000009979", "card_declined", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": ("4000000000000069", "expired_card", None),
    "pm_card_chargeDeclinedProcessingError": ("4000000000000119", "processing_error", None),
    "pm_card_chargeDeclinedVelocityLimitExceeded": (
        "4000000000006975",
        "card_declined",
        "card_velocity_exceeded",
    ),
    "pm_card_chargeCustomerFail": ("4000000000000341", "card_declined", "generic_decline"),
    "pm_card_radarBlock": ("4100000000000019", "card_declined", None),
}

THREE_D_SECURE = {
    "pm_card_threeDSecure2Required": "4000000000003220",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequiredSetupForOffSession": "4000003800000446",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "pm_card_threeDSecureRequiredChargeDeclined": "4000008400001629",
}


def card(api: Api, number: str, **fields: Any) -> Answer:
    """Make a payment method from a raw number."""
    year = datetime.now(UTC).year + 2
    values = {"exp_month": 12, "exp_year": year, "cvc": "123"} | fields
    form = {f"card[{key}]": value for key, value in values.items() if value is not None}
    return api.post("/v1/payment_methods", {"type": "card", "card[number]": number} | form)


@pytest.mark.parametrize("method", SUCCEED)
def test_a_good_card_pays(api: Api, method: str) -> None:
    assert pay(api, method)["status"] == "succeeded"


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize("number", SUCCEED.values(), ids=SUCCEED)
def test_a_good_number_pays_and_is_not_kept(api: Api, number: str) -> None:
    method = card(api, number)
    assert method.status == 200
    assert method.body["card"]["last4"] == number[-4:]
    assert method.body["card"]["checks"]["cvc_check"] == "unchecked"
    intent = pay(api, method.body["id"])
    assert intent["payment_method"] == method.body["id"]
    charge = api.find(f"/v1/charges/{intent['latest_charge']}")
    assert charge["payment_method_details"]["card"]["last4"] == number[-4:]


@pytest.mark.parametrize(("method", "outcome"), DECLINED.items(), ids=DECLINED)
def test_a_bad_card_is_declined(api: Api, method: str, outcome: tuple[str, str, str]) -> None:
    _, code, decline_code = outcome
    assert_declined(api, try_to_pay(api, method), code, decline_code)


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize(("number", "code", "decline_code"), DECLINED.values(), ids=DECLINED)
def test_a_bad_number_is_declined(
    api: Api, number: str, code: str, decline_code: str | None
) -> None:
    method = card(api, number).body["id"]
    assert_declined(api, try_to_pay(api, method), code, decline_code)


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
def test_a_wrong_cvc_is_declined_only_if_one_was_sent(api: Api) -> None:
    without = card(api, "4000000000000127", cvc=None).body["id"]
    assert try_to_pay(api, without).status == 200
    method = card(api, "4000000000000127").body["id"]
    assert_declined(api, try_to_pay(api, method), "incorrect_cvc", None)


def assert_declined(api: Api, answer: Answer, code: str, decline_code: str | None) -> None:
    """Check the objects of a decline: a saved intent and a failed charge."""
    assert answer.status == 402
    error = answer.error
    assert (error["type"], error["code"]) == ("card_error", code)
    if decline_code:
        assert error["decline_code"] == decline_code
    intent = error["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    assert intent["payment_method"] is None
    assert intent["last_payment_error"]["code"] == code
    assert intent["last_payment_error"]["payment_method"]["object"] == "payment_method"
    assert error["charge"] == intent["latest_charge"]
    assert error["payment_method"]["object"] == "payment_method"
    charge = api.find(f"/v1/charges/{error['charge']}")
    assert (charge["status"], charge["paid"], charge["captured"]) == ("failed", False, False)
    assert charge["failure_code"] == code
    assert charge["failure_message"] == error["message"]
    assert api.find(f"/v1/payment_intents/{intent['id']}")["status"] == "requires_payment_method"


def test_a_decline_says_what_the_network_said(api: Api) -> None:
    error = try_to_pay(api, "pm_card_chargeDeclinedInsufficientFunds").error
    assert error["advice_code"]
    assert error["network_decline_code"]
    assert error["doc_url"] == "https://stripe.com/docs/error-codes/card-declined"
    outcome = api.find(f"/v1/charges/{error['charge']}")["outcome"]
    assert outcome["network_status"] == "declined_by_network"
    assert (outcome["type"], outcome["reason"]) == ("issuer_declined", "insufficient_funds")


def test_a_blocked_card_never_reaches_the_network(api: Api) -> None:
    error = try_to_pay(api, "pm_card_radarBlock").error
    outcome = api.find(f"/v1/charges/{error['charge']}")["outcome"]
    assert (outcome["network_status"], outcome["type"]) == ("not_sent_to_network", "blocked")


def test_a_decline_makes_its_events(api: Api, diary: Diary) -> None:
    intent = try_to_pay(api, "pm_card_chargeDeclined").error["payment_intent"]
    events = diary.tells(
        intent["id"],
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    )
    assert events[-1]["data"]["object"]["last_payment_error"]["code"] == "card_declined"


@pytest.mark.parametrize("method", THREE_D_SECURE)
def test_a_strong_card_asks_for_action(api: Api, method: str) -> None:
    intent = pay(api, method)
    assert intent["status"] == "requires_action"
    assert intent["next_action"]["type"] == "use_stripe_sdk"


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize("number", THREE_D_SECURE.values(), ids=THREE_D_SECURE)
def test_a_strong_number_asks_for_action(api: Api, number: str) -> None:
    assert pay(api, card(api, number).body["id"])["status"] == "requires_action"


def test_the_cvc_check_fails_where_the_card_says_so(api: Api) -> None:
    assert checks_of(pay(api, "pm_card_cvcCheckFail", **OPEN))["cvc_check"] == "fail"


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
def test_the_postal_code_check_fails_where_the_card_says_so(api: Api) -> None:
    form = {"type": "card", "card[number]": "4000000000000036", "card[exp_month]": 12}
    address = {"card[exp_year]": 2031, "billing_details[address][postal_code]": "94103"}
    method = api.make("/v1/payment_methods", form | address)
    checks = checks_of(pay(api, method["id"], **OPEN))
    assert checks["address_postal_code_check"] == "fail"


def checks_of(intent: dict[str, Any]) -> dict[str, Any]:
    """Return the card checks of an intent with an expanded charge."""
    return dict(intent["latest_charge"]["payment_method_details"]["card"]["checks"])


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"exp_month": 13}, "invalid_expiry_month"),
        ({"exp_year": 2020}, "invalid_expiry_year"),
        ({"cvc": "99"}, "invalid_cvc"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_card_data_is_refused_at_creation(
    api: Api, fields: dict[str, Any], code: str
) -> None:
    answer = card(api, **({"number": "4242424242424242"} | fields))
    assert answer.status == 402
    assert (answer.error["type"], answer.error["code"]) == ("card_error", code)


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
def test_a_number_that_is_no_test_card_is_refused(api: Api) -> None:
    method = card(api, "4539578763621486")
    if method.status == 200:
        method = try_to_pay(api, method.body["id"])
    assert method.status == 402


def test_a_declining_card_cannot_be_attached(api: Api) -> None:
    customer = api.make("/v1/customers", {})["id"]
    answer = api.post("/v1/payment_methods/pm_card_chargeDeclined/attach", {"customer": customer})
    assert (answer.status, answer.error["code"]) == (402, "card_declined")


def test_a_card_that_attaches_can_still_fail(api: Api) -> None:
    customer = api.make("/v1/customers", {})["id"]
    method = api.make(
        "/v1/payment_methods/pm_card_chargeCustomerFail/attach", {"customer": customer}
    )
    answer = try_to_pay(api, method["id"], customer=customer)
    assert (answer.status, answer.error["code"]) == (402, "card_declined")


def test_attaching_passes_the_cvc_check(api: Api) -> None:
    customer = api.make("/v1/customers", {})["id"]
    method = api.make("/v1/payment_methods/pm_card_visa/attach", {"customer": customer})
    assert method["customer"] == customer
    assert method["card"]["checks"]["cvc_check"] == "pass"
    listing = api.find(f"/v1/customers/{customer}/payment_methods")["data"]
    assert [m["id"] for m in listing] == [method["id"]]
    freed = api.make(f"/v1/payment_methods/{method['id']}/detach")
    assert freed["customer"] is None


@pytest.mark.parametrize("token", ["tok_visa", "tok_chargeDeclined", "tok_createDispute"])
def test_tokens_become_payment_methods(api: Api, token: str) -> None:
    method = api.make("/v1/payment_methods", {"type": "card", "card[token]": token})
    answer = try_to_pay(api, method["id"])
    assert answer.status == (402 if "Declined" in token else 200)


def test_each_use_of_a_shared_id_makes_a_method_of_its_own(api: Api) -> None:
    first, second = pay(api), pay(api)
    assert first["payment_method"] != second["payment_method"]


def test_an_off_session_payment_that_needs_3ds_is_declined(api: Api, diary: Diary) -> None:
    answer = try_to_pay(api, "pm_card_authenticationRequired", off_session="true")
    assert answer.status == 402
    assert answer.error["code"] == "authentication_required"
    assert answer.error["decline_code"] == "authentication_required"
    intent = answer.error["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    diary.last(intent["id"], "payment_intent.payment_failed")


@pytest.mark.fake_only(reason="looks into everything the sandbox ever said")
@pytest.mark.usefixtures("side")
def test_no_card_number_is_ever_said(api: Api, side: Side, witness: Any) -> None:
    for number in ("4242424242424242", "4000000000000002"):
        try_to_pay(api, card(api, number).body["id"])
    api.get("/v1/events", {"limit": 100})
    bodies = b"".join(exchange.body for exchange in witness.exchanges)
    for number in {*SUCCEED.values(), *(d[0] for d in DECLINED.values()), *THREE_D_SECURE.values()}:
        assert number.encode() not in bodies
