"""The table of errors: status, type, code, parameter, and the beginning of the message."""

from __future__ import annotations

import pytest

from tests.contract.client import Api
from tests.contract.purchases import authorize, create, pay

UNKNOWN = [
    ("/v1/payment_intents/pi_nope", "intent", "No such payment_intent: 'pi_nope'"),
    ("/v1/charges/ch_nope", "id", "No such charge: 'ch_nope'"),
    ("/v1/refunds/re_nope", "refund", "No such refund: 're_nope'"),
    ("/v1/disputes/du_nope", "dispute", "No such dispute: 'du_nope'"),
    ("/v1/events/evt_nope", None, "No such event: 'evt_nope'"),
    ("/v1/checkout/sessions/cs_test_nope", None, "No such checkout"),
]


@pytest.mark.parametrize(("path", "param", "message"), UNKNOWN, ids=[u[0] for u in UNKNOWN])
def test_an_unknown_object_is_404(api: Api, path: str, param: str | None, message: str) -> None:
    answer = api.get(path)
    assert answer.status == 404
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["code"] == "resource_missing"
    assert answer.error["message"].startswith(message)
    assert answer.error["doc_url"] == "https://stripe.com/docs/error-codes/resource-missing"
    if param:
        assert answer.error["param"] == param


def test_a_refund_of_an_unknown_charge_names_the_id(api: Api) -> None:
    answer = api.post("/v1/refunds", {"charge": "ch_nope"})
    assert (answer.status, answer.error["code"]) == (404, "resource_missing")
    assert answer.error["param"] == "id"


def test_a_refund_of_an_unknown_intent_is_missing(api: Api) -> None:
    answer = api.post("/v1/refunds", {"payment_intent": "pi_nope"})
    assert answer.status in {400, 404}
    assert answer.error["code"] == "resource_missing"


@pytest.mark.parametrize("param", ["surprise", "card[surprise]", "metadatas[a]"])
def test_an_unknown_parameter_is_named(api: Api, param: str) -> None:
    answer = api.post("/v1/payment_intents", {"amount": 500, "currency": "usd", param: "x"})
    assert (answer.status, answer.error["code"]) == (400, "parameter_unknown")
    name = answer.error["param"]
    assert name == param or param.startswith(name + "[")
    assert answer.error["message"].startswith(f"Received unknown parameter: {name}")


@pytest.mark.parametrize("missing", ["amount", "currency"])
def test_a_missing_parameter_is_named(api: Api, missing: str) -> None:
    form = {"amount": "500", "currency": "usd"}
    del form[missing]
    answer = api.post("/v1/payment_intents", form)
    assert (answer.status, answer.error["code"]) == (400, "parameter_missing")
    assert answer.error["param"] == missing


@pytest.mark.parametrize("amount", ["abc", "10.5", "0"])
def test_an_amount_that_is_no_positive_integer_is_refused(api: Api, amount: str) -> None:
    answer = api.post("/v1/payment_intents", {"amount": amount, "currency": "usd"})
    assert (answer.status, answer.error["param"]) == (400, "amount")
    assert answer.error["code"] in {"parameter_invalid_integer", "amount_too_small"}


@pytest.mark.parametrize("text", ["abc", str(2**63), str(-(10**19))])
def test_what_is_no_integer_of_64_bits_is_quoted(api: Api, text: str) -> None:
    answer = api.post("/v1/prices", {"unit_amount": text, "currency": "usd"})
    assert answer.error["message"].startswith(f"Invalid integer: {text}")


def test_an_unknown_currency_is_refused(api: Api) -> None:
    answer = api.post("/v1/payment_intents", {"amount": 500, "currency": "xyz"})
    assert (answer.status, answer.error["param"]) == (400, "currency")


def test_a_wrong_state_shows_the_intent(api: Api) -> None:
    intent = pay(api)
    answer = api.post(f"/v1/payment_intents/{intent['id']}/confirm")
    assert (answer.status, answer.error["code"]) == (400, "payment_intent_unexpected_state")
    assert answer.error["payment_intent"]["id"] == intent["id"]
    assert answer.error["payment_intent"]["status"] == "succeeded"


def test_canceling_what_succeeded_lists_the_states_that_allow_it(api: Api) -> None:
    intent = pay(api)
    answer = api.post(f"/v1/payment_intents/{intent['id']}/cancel")
    assert (answer.status, answer.error["code"]) == (400, "payment_intent_unexpected_state")
    for state in ("requires_payment_method", "requires_capture", "requires_confirmation"):
        assert state in answer.error["message"]


def test_confirming_without_a_payment_method_is_a_wrong_state(api: Api) -> None:
    intent = create(api)
    answer = api.post(f"/v1/payment_intents/{intent['id']}/confirm")
    assert (answer.status, answer.error["code"]) == (400, "payment_intent_unexpected_state")


def test_a_second_full_refund_is_refused(api: Api) -> None:
    intent = pay(api)
    api.make("/v1/refunds", {"payment_intent": intent["id"]})
    answer = api.post("/v1/refunds", {"payment_intent": intent["id"]})
    assert (answer.status, answer.error["code"]) == (400, "charge_already_refunded")


def test_more_than_the_rest_cannot_be_refunded(api: Api) -> None:
    intent = pay(api, amount=3000)
    api.make("/v1/refunds", {"payment_intent": intent["id"], "amount": 500})
    answer = api.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 3000})
    assert (answer.status, answer.error["param"]) == (400, "amount")
    assert "code" not in answer.error
    assert answer.error["message"].startswith(
        "Refund amount ($30.00) is greater than unrefunded amount on charge ($25.00)"
    )


def test_an_uncaptured_charge_cannot_be_refunded(api: Api) -> None:
    intent = authorize(api)
    answer = api.post("/v1/refunds", {"charge": intent["latest_charge"]})
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


def test_a_refund_of_nothing_is_refused(api: Api) -> None:
    answer = api.post("/v1/refunds", {"amount": 500})
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


def test_a_card_refund_cannot_be_canceled(api: Api) -> None:
    refund = api.make("/v1/refunds", {"payment_intent": pay(api)["id"]})
    answer = api.post(f"/v1/refunds/{refund['id']}/cancel")
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert answer.error["message"].startswith("Canceling this refund is unsupported.")


def test_raw_charges_are_at_their_end_of_life(api: Api) -> None:
    answer = api.post("/v1/charges", {"amount": 500, "currency": "usd", "source": "tok_visa"})
    assert answer.status == 400


def test_null_fields_are_left_out_of_errors(api: Api) -> None:
    answer = api.post("/v1/payment_intents", {"currency": "usd"})
    assert None not in answer.error.values()
