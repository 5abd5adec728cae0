"""What Stripe refuses for want of a right: an account that is not ours to use, or a permission."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from tests.integration.hands import Hands

Json = dict[str, Any]
ACCOUNT = "acct_1Gone"
HEADERS = {"Stripe-Account": ACCOUNT}


def refuse(hands: Hands, **fault: Any) -> None:
    match = {"path_prefix": "/v1/"}
    asked = {"match": match, "kind": "error", "status": 403, "times": None} | fault
    requests.post(f"{hands.sandbox}/_sandbox/faults", json=asked, timeout=5).raise_for_status()


def ask(hands: Hands, what: str, headers: Json) -> TestResponse:
    client, payment = hands.client, {"payment_intent_id": "pi_1"}
    match what:
        case "show":
            return client.get("/api/payment/pi_1", headers=headers)
        case "verify":
            return client.post("/api/payment/verify", json=payment, headers=headers)
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    return client.post("/api/payment/process", json=body, headers=headers)


@pytest.mark.parametrize("what", ["show", "verify", "pay"])
def test_an_account_that_stripe_refuses_is_the_callers_matter(hands: Hands, what: str) -> None:
    refuse(hands, code="account_invalid")
    answer = ask(hands, what, HEADERS)
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (403, "account_invalid")
    assert problem["account"] == ACCOUNT


@pytest.mark.parametrize("what", ["show", "verify", "pay"])
def test_a_permission_that_our_key_lacks_is_the_operators_matter(hands: Hands, what: str) -> None:
    refuse(hands)
    answer = ask(hands, what, {})
    assert (answer.status_code, answer.get_json()["code"]) == (500, "stripe_permission_missing")
