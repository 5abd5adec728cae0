"""A person pays in a browser, and the event service is notified: every process is real."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.contract.client import Api
from tests.contract.receiver import receiving
from tests.e2e.running import Json, Service
from tests.servers import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture
def running(open_service: Service) -> Service:
    return open_service


def test_from_the_checkout_page_to_the_notification(page: Page, running: Service) -> None:
    stripe = Api(running.url("SANDBOX_PORT"), "sk_test_person_0123456789")
    session = stripe.make(
        "/v1/checkout/sessions",
        {
            "mode": "payment",
            "success_url": running.url() + "/health",
            "line_items[0][price_data][currency]": "sgd",
            "line_items[0][price_data][unit_amount]": 4500,
            "line_items[0][price_data][product_data][name]": "Seat, row 7",
            "line_items[0][quantity]": 2,
            "payment_intent_data[metadata][event_id]": "123",
        },
    )
    page.goto(session["url"])
    page.get_by_label("Test card").select_option("pm_card_threeDSecure2Required")
    page.get_by_role("button", name="with the test card").click()
    page.get_by_role("button", name="Complete authentication").click()
    expect(page.get_by_text("healthy")).to_be_visible()

    payment = stripe.find(f"/v1/checkout/sessions/{session['id']}")["payment_intent"]
    notification = wait_until(
        lambda: told_of(running, payment, "payment.succeeded", "checkout.completed"),
        "the event service to be told",
    )
    paid_payment = notification["payment.succeeded"]
    assert paid_payment["signature"] == "valid"
    assert (paid_payment["body"]["data"]["amount"], paid_payment["body"]["data"]["event_id"]) == (
        9000,
        "123",
    )


def told_of(running: Service, payment: str, *types: str) -> dict[str, Json] | None:
    """Return the notifications of a payment by type, as soon as all these types have arrived."""
    came = running.notifications(payment_intent_id=payment)
    by_type = {item["type"]: item for item in came}
    return by_type if by_type.keys() >= set(types) else None


def test_from_the_services_own_answer_through_the_bank_and_back(
    page: Page, running: Service
) -> None:
    with receiving() as shop:
        body = running.pay("pm_card_threeDSecure2Required", return_url=shop.url + "/after").json()
        assert body["requires_action"] is True
        page.goto(body["next_action"]["redirect_to_url"]["url"])
        page.get_by_role("button", name="Complete authentication").click()
        expect(page.get_by_role("heading", name="Back in the shop")).to_be_visible()
        assert parse_qs(urlsplit(page.url).query)["redirect_status"] == ["succeeded"]
    running.notifications_of(
        body["payment_intent_id"], "payment.requires_action", "payment.succeeded"
    )
