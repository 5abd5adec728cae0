from __future__ import annotations

from tests.contract.client import Api
from tests.contract.conftest import DAHLIA, ENDIVE

CARD = {"amount": 500, "currency": "usd", "payment_method_types[]": "card"}


def test_without_a_header_the_accounts_version_rules(api: Api) -> None:
    answer = api.post("/v1/payment_intents", CARD)
    assert answer.status == 200
    assert answer.headers["Stripe-Version"] <= DAHLIA
    assert answer.body["automatic_payment_methods"] is None


def test_a_header_rules_over_the_account(api: Api, endive: Api) -> None:
    assert endive.get("/v1/events").headers["Stripe-Version"] == ENDIVE
    assert api.get("/v1/events", Stripe_Version=DAHLIA).headers["Stripe-Version"] == DAHLIA


def test_endive_refuses_payment_method_types_on_intents(endive: Api) -> None:
    answer = endive.post("/v1/payment_intents", CARD)
    assert answer.status == 400
    assert answer.error["code"] == "payment_method_types_no_longer_supported"


def test_endive_refuses_payment_method_types_on_update_and_confirm(endive: Api) -> None:
    intent = endive.make("/v1/payment_intents", {"amount": 500, "currency": "usd"})
    for path in ("", "/confirm"):
        answer = endive.post(
            f"/v1/payment_intents/{intent['id']}{path}", {"payment_method_types[]": "card"}
        )
        assert answer.status == 400
        assert answer.error["code"] == "payment_method_types_no_longer_supported"


def test_endive_refuses_payment_method_types_on_checkout(endive: Api) -> None:
    answer = endive.post(
        "/v1/checkout/sessions",
        {
            "mode": "payment",
            "success_url": "https://example.com/ok",
            "payment_method_types[]": "card",
            "line_items[0][price_data][currency]": "usd",
            "line_items[0][price_data][unit_amount]": 1500,
            "line_items[0][price_data][product_data][name]": "ticket",
            "line_items[0][quantity]": 1,
        },
    )
    assert answer.status == 400
    assert answer.error["code"] == "payment_method_types_no_longer_supported"


def test_endive_still_returns_payment_method_types(endive: Api) -> None:
    intent = endive.make("/v1/payment_intents", {"amount": 500, "currency": "usd"})
    assert "card" in intent["payment_method_types"]


def test_an_unknown_version_is_refused(api: Api) -> None:
    answer = api.get("/v1/events", Stripe_Version="2031-01-01.quince")
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert "code" not in answer.error
    assert answer.error["message"].startswith("Invalid Stripe API version: 2031-01-01.quince")


def test_an_event_keeps_the_accounts_version_whatever_the_request_had(
    api: Api, endive: Api
) -> None:
    intent = endive.make("/v1/payment_intents", {"amount": 500, "currency": "usd"})
    account_version = api.get("/v1/events").headers["Stripe-Version"]
    events = api.find("/v1/events", {"type": "payment_intent.created"})["data"]
    mine = next(e for e in events if e["data"]["object"]["id"] == intent["id"])
    assert mine["api_version"] == account_version


def test_an_event_says_the_same_at_every_version(api: Api, endive: Api) -> None:
    intent = endive.make("/v1/payment_intents", {"amount": 500, "currency": "usd"})
    events = api.find("/v1/events", {"type": "payment_intent.created"})["data"]
    mine = next(e for e in events if e["data"]["object"]["id"] == intent["id"])
    assert endive.find(f"/v1/events/{mine['id']}") == mine
    assert mine in endive.find("/v1/events", {"type": "payment_intent.created"})["data"]
