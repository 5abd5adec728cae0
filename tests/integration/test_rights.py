"""Calls that Stripe refuses for a missing right: another account, or a missing permission."""

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
    hands.break_stripe(**({"match": match, "kind": "error", "status": 403, "times": None} | fault))


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


@pytest.mark.parametrize("code", ["account_invalid", None])
def test_events_are_told_with_a_key_that_may_read_nothing(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, code: str | None
) -> None:
    monkeypatch.setattr("worker.handlers.charge.OWN_EVENTS_SECONDS", 2)
    monkeypatch.setattr("worker.handlers.charge.LOOK_AGAIN_SECONDS", 0.2)
    payment = hands.pay().get_json()["payment_intent_id"]
    form = {"payment_intent": payment, "amount": 300}
    key = {"Authorization": "Bearer sk_test_tests_0123456789"}
    requests.post(f"{hands.sandbox}/v1/refunds", form, headers=key, timeout=5).raise_for_status()
    refunded = [e for e in hands.events() if e["type"] in ("charge.refunded", "refund.created")]
    refuse(hands, match={"method": "GET", "path_prefix": "/v1/"}, code=code)
    for one in refunded:
        assert hands.post_event(one).status_code == 200
    hands.work()
    assert hands.notified_types() == ["refund.succeeded"]
