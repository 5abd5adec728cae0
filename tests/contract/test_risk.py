"""Early fraud warnings and reviews: opened by control routes, with Stripe's events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import authorize, pay
from tests.contract.side import Side

pytestmark = pytest.mark.fake_only(reason="nobody can make a bank or Radar say this on demand")
WARNINGS = "/v1/radar/early_fraud_warnings"


def warn(side: Side, intent: dict[str, Any], **more: object) -> Any:
    return side.control("early_fraud_warnings", payment_intent=intent["id"], **more)


def review(side: Side, intent: dict[str, Any], **more: object) -> Any:
    return side.control("reviews", payment_intent=intent["id"], **more)


def test_a_bank_warns_of_fraud(api: Api, side: Side, diary: Diary) -> None:
    intent = pay(api)
    warning = warn(side, intent, fraud_type="made_with_stolen_card")
    assert api.find(f"{WARNINGS}/{warning['id']}") == warning
    assert (warning["actionable"], warning["fraud_type"]) == (True, "made_with_stolen_card")
    assert (warning["payment_intent"], warning["charge"]) == (intent["id"], intent["latest_charge"])
    listing = api.find(WARNINGS, {"payment_intent": intent["id"]})["data"]
    assert [one["id"] for one in listing] == [warning["id"]]
    assert diary.types(warning["id"]) == ["radar.early_fraud_warning.created"]


@pytest.mark.parametrize("end", ["refund", "dispute"])
def test_money_that_went_back_leaves_nothing_to_do(
    api: Api, side: Side, diary: Diary, end: str
) -> None:
    intent = pay(api)
    warning = warn(side, intent)
    if end == "refund":
        api.make("/v1/refunds", {"payment_intent": intent["id"]})
    else:
        side.control("disputes", payment_intent=intent["id"])
    assert api.find(f"{WARNINGS}/{warning['id']}")["actionable"] is False
    updated = diary.last(warning["id"], "radar.early_fraud_warning.updated")
    assert updated["data"]["previous_attributes"] == {"actionable": True}


def test_a_review_is_opened_and_approved(api: Api, side: Side, diary: Diary) -> None:
    intent = pay(api)
    opened = review(side, intent, reason="manual")
    assert (opened["open"], opened["opened_reason"]) == (True, "manual")
    assert api.find(f"/v1/payment_intents/{intent['id']}")["review"] == opened["id"]
    charge = api.find(f"/v1/charges/{intent['latest_charge']}", {"expand[]": "review"})
    assert charge["review"]["id"] == opened["id"]
    assert charge["outcome"]["type"] == "manual_review"
    approved = api.make(f"/v1/reviews/{opened['id']}/approve")
    assert (approved["open"], approved["closed_reason"]) == (False, "approved")
    assert diary.types(opened["id"]) == ["review.opened", "review.closed"]
    again = api.post(f"/v1/reviews/{opened['id']}/approve")
    assert (again.status, again.error["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("refund", "refunded"),
        ("refund as fraud", "refunded_as_fraud"),
        ("dispute", "disputed"),
        ("cancel", "canceled"),
    ],
)
def test_what_becomes_of_the_money_closes_the_review(
    api: Api, side: Side, diary: Diary, end: str, reason: str
) -> None:
    intent = authorize(api) if end == "cancel" else pay(api)
    opened = review(side, intent)
    if end == "refund":
        api.make("/v1/refunds", {"payment_intent": intent["id"], "amount": 500})
        assert api.find(f"/v1/reviews/{opened['id']}")["open"] is True
        api.make("/v1/refunds", {"payment_intent": intent["id"]})
    elif end == "refund as fraud":
        api.make("/v1/refunds", {"payment_intent": intent["id"], "reason": "fraudulent"})
    elif end == "dispute":
        side.control("disputes", payment_intent=intent["id"])
    else:
        api.make(f"/v1/payment_intents/{intent['id']}/cancel")
    closed = diary.last(opened["id"], "review.closed")["data"]["object"]
    assert (closed["open"], closed["closed_reason"]) == (False, reason)


def test_open_reviews_are_listed(api: Api, side: Side) -> None:
    opened = review(side, pay(api))
    assert opened["id"] in [one["id"] for one in api.find("/v1/reviews")["data"]]


def test_a_bank_disputes_in_its_own_currency(api: Api, side: Side, diary: Diary) -> None:
    intent = pay(api, currency="eur")
    dispute: Any = side.control(
        "disputes", payment_intent=intent["id"], amount=2300, currency="usd"
    )
    assert (dispute["amount"], dispute["currency"]) == (2300, "usd")
    assert api.find(f"/v1/disputes/{dispute['id']}")["currency"] == "usd"
    diary.last(dispute["id"], "charge.dispute.created")
