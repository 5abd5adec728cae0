"""Releases of held money that is not captured, by API version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import authorize
from tests.contract.receiver import Receiver
from tests.contract.side import Side
from tests.servers import wait_until

ACACIA = "2025-02-24.acacia"
BASIL = "2025-03-31.basil"


def charge_of(api: Api, intent: dict[str, Any]) -> dict[str, Any]:
    return api.find(f"/v1/charges/{intent['latest_charge']}")


def test_canceling_a_hold_leaves_the_refunded_amounts_alone(api: Api, diary: Diary) -> None:
    intent = authorize(api)
    api.make(f"/v1/payment_intents/{intent['id']}/cancel", Stripe_Version=BASIL)
    charge = charge_of(api, intent)
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 0)
    assert (charge["captured"], charge["amount_captured"]) == (False, 0)
    assert api.find("/v1/refunds", {"charge": charge["id"]})["data"] == []
    assert "charge.refunded" not in diary.types(intent["id"])


def test_canceling_a_hold_before_basil_makes_a_refund(api: Api, diary: Diary) -> None:
    intent = authorize(api)
    api.make(f"/v1/payment_intents/{intent['id']}/cancel", Stripe_Version=ACACIA)
    charge = charge_of(api, intent)
    assert (charge["refunded"], charge["amount_refunded"]) == (True, 2000)
    [refund] = api.find("/v1/refunds", {"charge": charge["id"]})["data"]
    assert (refund["amount"], refund["status"]) == (2000, "succeeded")
    diary.last(intent["id"], "charge.refunded")


def test_a_partial_capture_is_no_refund(api: Api, diary: Diary, side: Side) -> None:
    intent = authorize(api)
    path = f"/v1/payment_intents/{intent['id']}/capture"
    capture = api.make(path, {"amount_to_capture": 1500})
    assert (capture["status"], capture["amount_received"]) == ("succeeded", 1500)
    charge = charge_of(api, intent)
    assert (charge["amount"], charge["amount_captured"]) == (2000, 1500)
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 0)
    assert api.find("/v1/refunds", {"charge": charge["id"]})["data"] == []
    assert "charge.refunded" not in diary.types(intent["id"])
    movements = api.find("/v1/balance_transactions", {"source": charge["id"]})["data"]
    assert [movement["amount"] for movement in movements] == [1500]


def test_a_partial_capture_before_basil_refunds_the_rest(api: Api, diary: Diary) -> None:
    intent = authorize(api)
    path = f"/v1/payment_intents/{intent['id']}/capture"
    api.make(path, {"amount_to_capture": 1500}, Stripe_Version=ACACIA)
    charge = charge_of(api, intent)
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 500)
    [refund] = api.find("/v1/refunds", {"charge": charge["id"]})["data"]
    assert refund["amount"] == 500
    api.make("/v1/refunds", {"charge": charge["id"], "amount": 1500})
    assert charge_of(api, intent)["refunded"] is True


@pytest.mark.parametrize("parts", [[1500], [1000, 500]])
def test_a_charge_is_refunded_once_all_that_was_captured_is(api: Api, parts: list[int]) -> None:
    intent = authorize(api)
    api.make(f"/v1/payment_intents/{intent['id']}/capture", {"amount_to_capture": 1500})
    for amount in parts:
        api.make("/v1/refunds", {"payment_intent": intent["id"], "amount": amount})
    charge = charge_of(api, intent)
    assert (charge["refunded"], charge["amount_refunded"]) == (True, 1500)
    again = api.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 1})
    assert (again.status, again.error["code"]) == (400, "charge_already_refunded")


@pytest.mark.fake_only(reason="Stripe does not reach this machine's loopback")
def test_an_endpoint_older_than_basil_is_told_of_a_refund(api: Api, receiver: Receiver) -> None:
    endpoint = api.make(
        "/v1/webhook_endpoints",
        {"url": receiver.url, "enabled_events[]": "*", "api_version": ACACIA},
    )
    intent = authorize(api)
    api.make(f"/v1/payment_intents/{intent['id']}/cancel")
    delivery = wait_until(
        lambda: [d for d in receiver.about(intent["id"]) if d.event["type"] == "charge.refunded"],
        "charge.refunded at the older endpoint",
    )
    api.delete(f"/v1/webhook_endpoints/{endpoint['id']}")
    assert delivery[0].event["data"]["object"]["amount_refunded"] == 2000
    now, older = (
        api.get("/v1/events", {"type": "charge.refunded"}, Stripe_Version=version)
        for version in (BASIL, ACACIA)
    )
    assert delivery[0].event["id"] not in [event["id"] for event in now.body["data"]]
    assert delivery[0].event["id"] in [event["id"] for event in older.body["data"]]


@pytest.mark.fake_only(reason="nobody can wait a week")
def test_an_expired_hold_has_a_reason_by_version(api: Api, fresh_sandbox: Any) -> None:
    own_side, own = fresh_sandbox()
    intent = authorize(own)
    own_side.let_time_pass(8 * 24 * 3600)
    path = f"/v1/payment_intents/{intent['id']}"
    assert own.get(path).body["cancellation_reason"] == "expired"
    assert own.get(path, Stripe_Version=ACACIA).body["cancellation_reason"] == "automatic"
    assert charge_of(own, intent)["refunded"] is False
