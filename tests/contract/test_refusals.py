"""Refusals of real Stripe, with its texts where callers may show them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.purchases import authorize, create, pay

INTENTS = "/v1/payment_intents"
CARD = {"amount": 500, "currency": "usd", "payment_method_types[]": "card"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (INTENTS, "receipt_email"),
        ("/v1/customers", "email"),
        ("/v1/payment_methods", "billing_details[email]"),
    ],
)
@pytest.mark.parametrize("address", ["jenny", "jenny@", "jenny rosen@example.com", "jenny@example"])
def test_an_address_must_look_like_one(api: Api, path: str, name: str, address: str) -> None:
    needed: dict[str, Any] = {
        INTENTS: CARD,
        "/v1/payment_methods": {"type": "card", "card[token]": "tok_visa"},
    }
    refusal = api.post(path, needed.get(path, {}) | {name: address})
    assert (refusal.status, refusal.error["code"]) == (400, "email_invalid")
    assert refusal.error["param"] == name
    assert refusal.error["message"] == f"Invalid email address: {address}"


def test_an_unset_address_is_no_mistake(api: Api) -> None:
    customer = api.make("/v1/customers", {"email": "jenny@example.com"})
    assert api.make(f"/v1/customers/{customer['id']}", {"email": ""})["email"] is None


@pytest.mark.parametrize("step", ["create", "update", "confirm", "capture"])
def test_a_card_takes_no_whole_statement_descriptor(api: Api, step: str) -> None:
    descriptor = {"statement_descriptor": "SHOP"}
    if step == "create":
        refusal = api.post(INTENTS, CARD | descriptor)
    elif step == "update":
        refusal = api.post(f"{INTENTS}/{create(api)['id']}", descriptor)
    elif step == "confirm":
        form = {"amount": 500, "currency": "usd"} | descriptor
        intent = api.make(INTENTS, form)
        method = {"payment_method": "pm_card_visa", "return_url": "https://example.com/"}
        refusal = api.post(f"{INTENTS}/{intent['id']}/confirm", method)
    else:
        refusal = api.post(f"{INTENTS}/{authorize(api)['id']}/capture", descriptor)
    assert (refusal.status, refusal.error["param"]) == (400, "statement_descriptor")
    assert "statement_descriptor_suffix" in refusal.error["message"]


@pytest.mark.parametrize(
    ("path", "name", "status"),
    [
        (INTENTS, "customer", 400),
        ("/v1/charges", "customer", 400),
        ("/v1/charges", "payment_intent", 404),
        ("/v1/refunds", "payment_intent", 404),
        ("/v1/refunds", "charge", 404),
        ("/v1/disputes", "charge", 404),
        ("/v1/checkout/sessions", "payment_intent", 404),
        ("/v1/payment_methods", "customer", 400),
    ],
)
def test_a_filter_names_something_that_is(api: Api, path: str, name: str, status: int) -> None:
    refusal = api.get(path, {name: "nothing_known"})
    assert (refusal.status, refusal.error["code"]) == (status, "resource_missing")
    assert refusal.error["param"] == name


def test_a_refund_is_measured_by_the_charge_first(api: Api) -> None:
    intent = pay(api)
    refund = {"payment_intent": intent["id"]}
    more = api.post("/v1/refunds", refund | {"amount": 2001}).error["message"]
    assert more == "Refund amount ($20.01) is greater than charge amount ($20.00)"
    api.make("/v1/refunds", refund | {"amount": 500})
    rest = api.post("/v1/refunds", refund | {"amount": 1501}).error["message"]
    assert rest == "Refund amount ($15.01) is greater than unrefunded amount on charge ($15.00)"


@pytest.mark.parametrize("amount", [0, -5])
def test_a_refund_is_positive(api: Api, amount: int) -> None:
    refusal = api.post("/v1/refunds", {"payment_intent": pay(api)["id"], "amount": amount})
    assert (refusal.status, refusal.error["code"]) == (400, "parameter_invalid_integer")
    assert refusal.error["message"] == "Invalid positive integer"


def test_a_key_belongs_to_one_endpoint(api: Api) -> None:
    api.make(INTENTS, CARD, Idempotency_Key="one endpoint only")
    refusal = api.post("/v1/customers", {}, Idempotency_Key="one endpoint only")
    assert (refusal.status, refusal.error["type"]) == (400, "idempotency_error")
    assert refusal.error["message"] == (
        "Keys for idempotent requests can only be used for the same endpoint they were first used "
        "for ('/v1/customers' vs '/v1/payment_intents'). Try using a key other than 'one endpoint "
        "only' if you meant to execute a different request."
    )


def test_nothing_is_managed_by_stripe(api: Api) -> None:
    assert create(api)["managed_payments"] == {"enabled": False}


def test_a_session_knows_its_customer(api: Api) -> None:
    customer = api.make("/v1/customers", {"email": "jenny@example.com"})
    form = {
        "mode": "payment",
        "success_url": "https://example.com/ok",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": 1500,
        "line_items[0][price_data][product_data][name]": "ticket",
        "line_items[0][quantity]": 1,
    }
    customers_session = api.make("/v1/checkout/sessions", form | {"customer": customer["id"]})
    assert customers_session["customer_details"]["email"] == "jenny@example.com"
    visitors_session = api.make(
        "/v1/checkout/sessions", form | {"customer_email": "rosen@example.com"}
    )
    assert visitors_session["customer_details"]["email"] == "rosen@example.com"
    assert api.make("/v1/checkout/sessions", form)["customer_details"] is None


@pytest.mark.parametrize(
    ("path", "form", "param"),
    [
        ("/v1/prices", {"product": "prod_x", "product_data[name]": "n"}, "product_data"),
        ("/v1/payment_methods", {"sepa_debit[iban]": "AT611904300234573201"}, "sepa_debit"),
        (INTENTS, {"confirm": "true", "return_url": "somewhere"}, "return_url"),
        (
            INTENTS,
            {"excluded_payment_method_types[]": "cheque"},
            "excluded_payment_method_types[0]",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(
    api: Api, path: str, form: dict[str, str], param: str
) -> None:
    needed: dict[str, Any] = {
        "/v1/prices": {"currency": "usd", "unit_amount": 500},
        "/v1/payment_methods": {"type": "card", "card[token]": "tok_visa"},
        INTENTS: {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa"},
    }
    refusal = api.post(path, needed[path] | form)
    assert (refusal.status, refusal.error["param"]) == (400, param)


@pytest.mark.parametrize(
    ("ui_mode", "addresses", "param"),
    [
        ("hosted_page", {}, "success_url"),
        (
            "hosted_page",
            {"success_url": "https://x.test/", "return_url": "https://x.test/"},
            "return_url",
        ),
        ("embedded_page", {}, "return_url"),
        ("embedded_page", {"success_url": "https://x.test/"}, "success_url"),
        ("hosted_page", {"success_url": "somewhere"}, "success_url"),
    ],
)
def test_a_page_returns_where_its_kind_does(
    api: Api, ui_mode: str, addresses: dict[str, str], param: str
) -> None:
    form = {
        "mode": "payment",
        "ui_mode": ui_mode,
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": 1500,
        "line_items[0][price_data][product_data][name]": "ticket",
    }
    refusal = api.post("/v1/checkout/sessions", form | addresses)
    assert (refusal.status, refusal.error["param"]) == (400, param)


def test_without_automatic_methods_a_card_is_taken(api: Api) -> None:
    form = {"amount": 500, "currency": "eur", "automatic_payment_methods[enabled]": "false"}
    intent = api.make(INTENTS, form)
    assert intent["automatic_payment_methods"] is None
    assert intent["payment_method_types"] == ["card"]
