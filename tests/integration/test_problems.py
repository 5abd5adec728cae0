"""Problem documents: the members of each, by the names that callers rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api.problems import Problem
from shared.errors import Fields
from tests.integration.hands import Hands
from tests.integration.test_answers import SCHEMAS
from tests.integration.test_dead_letters import bury

ALWAYS = {"type", "title", "status", "detail", "code", "request_id"}


def declined(hands: Hands) -> TestResponse:
    return hands.pay("pm_card_visa_chargeDeclinedInsufficientFunds")


def canceled_too_late(hands: Hands) -> TestResponse:
    payment = hands.pay().get_json()["payment_intent_id"]
    return hands.client.post(f"/api/payment/{payment}/cancel", json={})


def of_an_account(hands: Hands) -> TestResponse:
    return hands.client.get("/api/payment/pi_1", headers={"Stripe-Account": "acct_1Seller"})


def batch_of_nothing(hands: Hands) -> TestResponse:
    return hands.client.post("/api/refund/batches", json={"payments": ["pi_1"]})


def redriven_twice(hands: Hands) -> TestResponse:
    bury(hands.runtime.store, "evt_1")
    hands.client.post("/ops/items/evt_1/redrive", json={})
    return hands.client.post("/ops/items/evt_1/redrive", json={})


def without_a_route(hands: Hands) -> TestResponse:
    return hands.client.get("/nowhere")


def forged(hands: Hands) -> TestResponse:
    return hands.post_event({}, secret="whsec_somebody_elses")


def wrong_amount(hands: Hands) -> TestResponse:
    return hands.pay(amount=0)


# What else a document has; None where the value is Stripe's own and new each time.
MEMBERS: dict[Callable[[Hands], TestResponse], dict[str, Any]] = {
    declined: {
        "decline_code": "insufficient_funds",
        "advice_code": "try_again_later",
        "payment_intent_id": None,
        "payment_status": "requires_payment_method",
        "charge_id": None,
        "stripe_request_id": None,
    },
    canceled_too_late: {
        "payment_intent_id": None,
        "payment_status": "succeeded",
        "amount_received": 1000,
        "currency": "sgd",
    },
    of_an_account: {"account": "acct_1Seller", "param": "intent", "stripe_request_id": None},
    batch_of_nothing: {"left_out": {"unknown_payment": 1}},
    redriven_twice: {"state": "received"},
    without_a_route: {},
    forged: {},
    wrong_amount: {
        "param": "amount",
        "errors": [{"param": "amount", "message": "Input should be greater than 0"}],
    },
}


@pytest.mark.parametrize("provoke", MEMBERS, ids=lambda provoke: provoke.__name__)
def test_a_problem_has_the_members_of_its_contract(
    hands: Hands, provoke: Callable[[Hands], TestResponse]
) -> None:
    answer = provoke(hands)
    document, expected = answer.get_json(), MEMBERS[provoke]
    assert set(document) == ALWAYS | set(expected)
    fixed = {name: value for name, value in expected.items() if value is not None}
    assert {name: document[name] for name in fixed} == fixed
    assert all(document.values())
    assert document["type"] == f"urn:billing-service:problem:{document['code']}"
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["X-Request-Id"]


def test_every_member_that_the_contract_names_is_seen_above() -> None:
    members = ALWAYS.union(*MEMBERS.values())
    assert members == set(SCHEMAS["Problem"]["properties"]) == set(Problem.model_fields)


def test_what_an_error_may_fill_is_a_member_of_its_document() -> None:
    assert set(Fields.__annotations__) == set(Problem.model_fields) - ALWAYS - {"errors"}
