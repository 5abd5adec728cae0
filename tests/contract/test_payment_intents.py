"""The states of a PaymentIntent and the changes between them."""

from __future__ import annotations

import re

import pytest
import requests

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import RETURN_URL, authorize, create, pay, try_to_pay
from tests.contract.side import Side


def test_a_new_intent_waits_for_a_payment_method(api: Api, diary: Diary) -> None:
    intent = create(api)
    assert intent["id"].startswith("pi_3")
    assert re.fullmatch(intent["id"] + "_secret_[A-Za-z0-9]{25}", intent["client_secret"])
    assert intent["status"] == "requires_payment_method"
    assert intent["capture_method"] == "automatic_async"
    assert intent["confirmation_method"] == "automatic"
    assert intent["livemode"] is False
    assert intent["latest_charge"] is None
    assert "charges" not in intent
    diary.tells(intent["id"], "payment_intent.created")


def test_a_method_makes_it_wait_for_confirmation(api: Api) -> None:
    intent = create(api, payment_method="pm_card_visa")
    assert intent["status"] == "requires_confirmation"
    assert intent["payment_method"].startswith("pm_1")
    payment = api.make(f"/v1/payment_intents/{intent['id']}/confirm")
    assert payment["status"] == "succeeded"


def test_create_and_confirm_in_one_call(api: Api, diary: Diary) -> None:
    intent = pay(api, amount=2099, description="two seats", receipt_email="jenny@example.com")
    assert intent["status"] == "succeeded"
    assert intent["amount_received"] == 2099
    assert intent["payment_method"].startswith("pm_1")
    charge = api.find(f"/v1/charges/{intent['latest_charge']}")
    assert charge["id"].startswith("ch_3")
    assert (charge["paid"], charge["captured"], charge["status"]) == (True, True, "succeeded")
    assert charge["outcome"]["type"] == "authorized"
    assert charge["description"] == "two seats"
    assert charge["receipt_url"]
    diary.tells(
        intent["id"],
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
    )


def test_the_balance_transaction_comes_later(api: Api, diary: Diary, side: Side) -> None:
    intent = pay(api)
    updated = diary.last(intent["id"], "charge.updated")
    assert updated["data"]["previous_attributes"]["balance_transaction"] is None
    assert updated["request"]["id"] is None
    charge = api.find(f"/v1/charges/{intent['latest_charge']}", {"expand[]": "balance_transaction"})
    transaction = charge["balance_transaction"]
    assert transaction["amount"] == 2000
    assert transaction["net"] == transaction["amount"] - transaction["fee"]
    assert transaction["source"] == charge["id"]


def test_no_types_means_dynamic_methods(api: Api, endive: Api) -> None:
    for version in (api, endive):
        intent = version.make("/v1/payment_intents", {"amount": 500, "currency": "usd"})
        automatic = intent["automatic_payment_methods"]
        assert automatic == {"enabled": True, "allow_redirects": "always"}
        assert intent["payment_method_types"][0] == "card"


def test_a_dynamic_confirm_needs_a_return_url(api: Api) -> None:
    form = {"amount": 500, "currency": "usd", "confirm": "true", "payment_method": "pm_card_visa"}
    answer = api.post("/v1/payment_intents", form)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert "return_url" in answer.error["message"]
    assert api.post("/v1/payment_intents", form | {"return_url": RETURN_URL}).status == 200


def test_the_portable_confirm_works_on_both_versions(api: Api, endive: Api) -> None:
    for version in (api, endive):
        intent = version.make(
            "/v1/payment_intents",
            {
                "amount": 500,
                "currency": "usd",
                "confirm": "true",
                "payment_method": "pm_card_visa",
                "automatic_payment_methods[enabled]": "true",
                "automatic_payment_methods[allow_redirects]": "never",
            },
        )
        assert intent["status"] == "succeeded"


@pytest.mark.parametrize(
    "param",
    [{"return_url": RETURN_URL}, {"off_session": "true"}, {"error_on_requires_action": "true"}],
    ids=lambda param: next(iter(param)),
)
def test_some_parameters_need_confirm(api: Api, param: dict[str, str]) -> None:
    answer = api.post("/v1/payment_intents", {"amount": 500, "currency": "usd"} | param)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert "confirm" in answer.error["message"]


def test_a_manual_capture_holds_then_takes(api: Api, diary: Diary) -> None:
    intent = authorize(api)
    assert intent["status"] == "requires_capture"
    assert (intent["amount_capturable"], intent["amount_received"]) == (2000, 0)
    charge = api.find(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["paid"], charge["captured"]) == (True, False)
    assert charge["payment_method_details"]["card"]["capture_before"] > charge["created"]
    capture = api.make(f"/v1/payment_intents/{intent['id']}/capture")
    assert capture["status"] == "succeeded"
    assert (capture["amount_capturable"], capture["amount_received"]) == (0, 2000)
    events = diary.tells(
        intent["id"],
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    )
    captured = next(e for e in events if e["type"] == "charge.captured")
    assert captured["data"]["object"]["captured"] is True
    assert captured["data"]["previous_attributes"]["captured"] is False


def test_a_second_capture_is_a_wrong_state(api: Api) -> None:
    intent = authorize(api)
    path = f"/v1/payment_intents/{intent['id']}/capture"
    api.make(path)
    answer = api.post(path)
    assert (answer.status, answer.error["code"]) == (400, "payment_intent_unexpected_state")


def test_more_than_was_held_cannot_be_taken(api: Api) -> None:
    path = f"/v1/payment_intents/{authorize(api)['id']}/capture"
    answer = api.post(path, {"amount_to_capture": 2001})
    assert (answer.status, answer.error["code"]) == (400, "amount_too_large")
    negative = api.post(path, {"amount_to_capture": -1})
    assert (negative.status, negative.error["param"]) == (400, "amount_to_capture")


@pytest.mark.parametrize("start", ["created", "with method", "held", "acting"])
def test_what_is_not_yet_paid_can_be_canceled(api: Api, diary: Diary, start: str) -> None:
    intent = {
        "created": lambda: create(api),
        "with method": lambda: create(api, payment_method="pm_card_visa"),
        "held": lambda: authorize(api),
        "acting": lambda: pay(api, "pm_card_authenticationRequired"),
    }[start]()
    canceled = api.make(
        f"/v1/payment_intents/{intent['id']}/cancel", {"cancellation_reason": "duplicate"}
    )
    assert canceled["status"] == "canceled"
    assert canceled["cancellation_reason"] == "duplicate"
    assert canceled["canceled_at"] >= canceled["created"]
    assert canceled["amount_capturable"] == 0
    diary.last(intent["id"], "payment_intent.canceled")
    again = api.post(f"/v1/payment_intents/{intent['id']}/cancel")
    assert (again.status, again.error["code"]) == (400, "payment_intent_unexpected_state")


def test_an_unknown_reason_to_cancel_is_refused(api: Api) -> None:
    intent = create(api)
    answer = api.post(f"/v1/payment_intents/{intent['id']}/cancel", {"cancellation_reason": "rain"})
    assert (answer.status, answer.error["param"]) == (400, "cancellation_reason")


def test_the_amount_cannot_change_after_success(api: Api) -> None:
    answer = api.post(f"/v1/payment_intents/{pay(api)['id']}", {"amount": 3000})
    assert answer.status == 400
    assert answer.error.get("param", "amount") == "amount"


def test_the_amount_can_change_before(api: Api) -> None:
    intent = create(api)
    assert api.make(f"/v1/payment_intents/{intent['id']}", {"amount": 3000})["amount"] == 3000


def test_a_method_of_another_customer_is_refused(api: Api) -> None:
    owner, other = (api.make("/v1/customers", {})["id"] for _ in range(2))
    method = api.make("/v1/payment_methods/pm_card_visa/attach", {"customer": owner})
    answer = try_to_pay(api, method["id"], customer=other)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


def test_a_declined_intent_can_be_paid_with_another_card(api: Api, diary: Diary) -> None:
    declined = try_to_pay(api, "pm_card_chargeDeclined").error["payment_intent"]
    payment = api.make(
        f"/v1/payment_intents/{declined['id']}/confirm", {"payment_method": "pm_card_visa"}
    )
    assert payment["status"] == "succeeded"
    assert payment["last_payment_error"] is None
    assert payment["latest_charge"] != declined["latest_charge"]
    diary.tells(
        declined["id"],
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
    )


def test_metadata_goes_over_to_the_charge(api: Api) -> None:
    intent = pay(api, **{"metadata[event_id]": "E1", "metadata[user_id]": "U1"})
    charge = api.find(f"/v1/charges/{intent['latest_charge']}")
    assert charge["metadata"] == {"event_id": "E1", "user_id": "U1"}


def test_sepa_is_processed_then_succeeds(api: Api, diary: Diary, side: Side) -> None:
    intent = sepa(api, "AT611904300234573201")
    assert intent["status"] == "processing"
    payment = side.eventually(lambda: _in_state(api, intent["id"], "succeeded"), "the debit")
    assert payment["amount_received"] == 2000
    types = diary.types(intent["id"])
    assert "payment_intent.processing" in types
    assert types.index("payment_intent.processing") < types.index("payment_intent.succeeded")


def test_sepa_is_processed_then_fails(api: Api, diary: Diary, side: Side) -> None:
    intent = sepa(api, "AT861904300235473202")
    assert intent["status"] == "processing"
    failed = side.eventually(
        lambda: _in_state(api, intent["id"], "requires_payment_method"),
        "the debit to fail",
    )
    assert failed["last_payment_error"] is not None
    diary.last(intent["id"], "payment_intent.payment_failed")
    diary.last(intent["id"], "charge.failed")


def sepa(api: Api, iban: str) -> dict[str, object]:
    """Confirm a debit from a bank account."""
    return api.make(
        "/v1/payment_intents",
        {
            "amount": 2000,
            "currency": "eur",
            "confirm": "true",
            "payment_method_types[]": "sepa_debit",
            "payment_method_data[type]": "sepa_debit",
            "payment_method_data[sepa_debit][iban]": iban,
            "payment_method_data[billing_details][name]": "Jenny Rosen",
            "payment_method_data[billing_details][email]": "jenny@example.com",
            "mandate_data[customer_acceptance][type]": "offline",
        },
    )


def _in_state(api: Api, intent: object, state: str) -> dict[str, object] | None:
    now = api.find(f"/v1/payment_intents/{intent}")
    return now if now["status"] == state else None


@pytest.mark.fake_only(reason="Stripe's page is Stripe's")
def test_a_receipt_is_a_page_that_says_so(api: Api) -> None:
    intent = pay(api, **{"expand[]": "latest_charge"})
    page = requests.get(intent["latest_charge"]["receipt_url"], timeout=10)
    assert (page.status_code, '<html lang="en">' in page.text) == (200, True)
    assert "$20.00 USD" in page.text
    assert "Simulated" in page.text
