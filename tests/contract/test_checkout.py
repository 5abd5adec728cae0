from __future__ import annotations

from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.diary import Diary

SUCCESS = "https://example.com/thanks?session_id={CHECKOUT_SESSION_ID}"
PAGE_IS_PRIVATE = "the page's own endpoints want the account's publishable key at Stripe"


@pytest.fixture
def open_session(api: Api) -> Any:
    """Open a checkout for two seats of 15.00."""

    def make(currency: str = "usd", **form: Any) -> dict[str, Any]:
        product = api.make("/v1/products", {"name": "seat", "description": "row 7"})
        price = api.make(
            "/v1/prices", {"product": product["id"], "unit_amount": 1500, "currency": currency}
        )
        return api.make(
            "/v1/checkout/sessions",
            {
                "mode": "payment",
                "success_url": SUCCESS,
                "cancel_url": "https://example.com/back",
                "line_items[0][price]": price["id"],
                "line_items[0][quantity]": 2,
            }
            | form,
        )

    return make


def complete(api: Api, session: dict[str, Any], **method: Any) -> dict[str, Any]:
    """Pay a session as the CLI's fixtures do."""
    page = api.find(f"/v1/payment_pages/{session['id']}")
    assert page["id"]
    billing = {
        "billing_details[name]": "Jenny Rosen",
        "billing_details[email]": "jenny@example.com",
    }
    payment_method = api.make("/v1/payment_methods", billing | method)
    answer = api.post(
        f"/v1/payment_pages/{session['id']}/confirm",
        {"payment_method": payment_method["id"], "expected_amount": 3000},
    )
    assert answer.status in {200, 402}, answer.body
    return api.find(f"/v1/checkout/sessions/{session['id']}")


def test_an_open_session_waits_at_its_url(open_session: Any) -> None:
    session = open_session(**{"metadata[event_id]": "E1", "client_reference_id": "order-7"})
    assert session["id"].startswith("cs_test_")
    assert (session["status"], session["payment_status"]) == ("open", "unpaid")
    assert (session["amount_subtotal"], session["amount_total"]) == (3000, 3000)
    assert session["currency"] == "usd"
    assert session["url"].startswith("http")
    assert session["payment_intent"] is None
    assert session["metadata"] == {"event_id": "E1"}
    assert session["expires_at"] > session["created"]
    assert "line_items" not in session


def test_line_items_open_on_demand(api: Api, open_session: Any) -> None:
    session = open_session()
    path = f"/v1/checkout/sessions/{session['id']}"
    items = api.find(path, {"expand[]": "line_items"})["line_items"]
    assert items["data"][0]["quantity"] == 2
    assert items["data"][0]["amount_total"] == 3000
    assert api.find(path + "/line_items")["data"][0]["price"]["unit_amount"] == 1500


def test_prices_can_be_given_in_place(api: Api) -> None:
    session = api.make(
        "/v1/checkout/sessions",
        {
            "mode": "payment",
            "success_url": SUCCESS,
            "line_items[0][price_data][currency]": "eur",
            "line_items[0][price_data][unit_amount]": 700,
            "line_items[0][price_data][product_data][name]": "programme",
            "line_items[0][quantity]": 3,
        },
    )
    assert (session["amount_total"], session["currency"]) == (2100, "eur")


@pytest.mark.fake_only(reason=PAGE_IS_PRIVATE)
def test_a_card_completes_it(api: Api, diary: Diary, open_session: Any) -> None:
    session = open_session(**{"payment_intent_data[metadata][user_id]": "U1"})
    complete_session = complete(api, session, **{"type": "card", "card[token]": "tok_visa"})
    assert (complete_session["status"], complete_session["payment_status"]) == ("complete", "paid")
    assert complete_session["customer_details"]["email"] == "jenny@example.com"
    intent = api.find(f"/v1/payment_intents/{complete_session['payment_intent']}")
    assert (intent["status"], intent["amount"]) == ("succeeded", 3000)
    assert intent["metadata"] == {"user_id": "U1"}
    types = [t for t in diary.types(intent["id"]) if t != "charge.updated"]
    assert types == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    assert complete_session["url"] is None


@pytest.mark.fake_only(reason=PAGE_IS_PRIVATE)
def test_a_declined_card_leaves_it_open(api: Api, open_session: Any) -> None:
    session = open_session()
    tried = complete(api, session, **{"type": "card", "card[token]": "tok_chargeDeclined"})
    assert (tried["status"], tried["payment_status"]) == ("open", "unpaid")
    complete_session = complete(api, session, **{"type": "card", "card[token]": "tok_visa"})
    assert complete_session["status"] == "complete"


@pytest.mark.fake_only(reason=PAGE_IS_PRIVATE)
def test_another_amount_than_expected_is_refused(api: Api, open_session: Any) -> None:
    session = open_session()
    method = api.make("/v1/payment_methods", {"type": "card", "card[token]": "tok_visa"})
    answer = api.post(
        f"/v1/payment_pages/{session['id']}/confirm",
        {"payment_method": method["id"], "expected_amount": 2999},
    )
    assert answer.status == 400


@pytest.mark.fake_only(reason=PAGE_IS_PRIVATE)
@pytest.mark.parametrize(
    "debit",
    [
        ("AT611904300234573201", "paid", "checkout.session.async_payment_succeeded"),
        ("IT60X0542811101000000123456", "unpaid", "checkout.session.async_payment_failed"),
    ],
    ids=["succeeds", "fails"],
)
def test_a_debit_completes_it_before_the_money_comes(
    api: Api, diary: Diary, open_session: Any, debit: tuple[str, str, str]
) -> None:
    iban, end, session_event = debit
    session = open_session("eur", **{"payment_method_types[]": "sepa_debit"})
    complete_session = complete(api, session, **{"type": "sepa_debit", "sepa_debit[iban]": iban})
    assert complete_session["status"] == "complete"
    event = diary.last(session["id"], "checkout.session.completed")
    assert event["data"]["object"]["payment_status"] == "unpaid"
    diary.last(session["id"], session_event)
    now = api.find(f"/v1/checkout/sessions/{session['id']}")
    assert now["payment_status"] == end
    charge = "charge.succeeded" if end == "paid" else "charge.failed"
    intent = "payment_intent.succeeded" if end == "paid" else "payment_intent.payment_failed"
    types = [t for t in diary.types(now["payment_intent"]) if t != "charge.updated"]
    for earlier, later in (
        ("payment_intent.processing", "checkout.session.completed"),
        ("checkout.session.completed", charge),
        (charge, intent),
        (intent, session_event),
    ):
        assert types.index(earlier) < types.index(later)


def test_a_session_can_be_expired_once(api: Api, diary: Diary, open_session: Any) -> None:
    session = open_session()
    path = f"/v1/checkout/sessions/{session['id']}/expire"
    expired = api.make(path)
    assert (expired["status"], expired["url"]) == ("expired", None)
    assert diary.tells(session["id"], "checkout.session.expired")
    assert api.post(path).status == 400


def test_a_session_needs_something_to_sell(api: Api) -> None:
    answer = api.post("/v1/checkout/sessions", {"mode": "payment", "success_url": SUCCESS})
    assert answer.status == 400


def test_sessions_are_found_by_their_intent(api: Api, open_session: Any) -> None:
    session = open_session()
    listing = api.find("/v1/checkout/sessions", {"limit": 5})["data"]
    assert session["id"] in [s["id"] for s in listing]
