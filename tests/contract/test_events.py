"""Events: their form, `previous_attributes`, and that they never change afterwards."""

from __future__ import annotations

import pytest

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import authorize, create, pay, try_to_pay


def test_an_event_is_a_snapshot(api: Api, diary: Diary) -> None:
    intent = create(api)
    api.make(f"/v1/payment_intents/{intent['id']}", {"metadata[a]": "later"})
    [event] = diary.tells(intent["id"], "payment_intent.created")
    assert event["object"] == "event"
    assert event["id"].startswith("evt_")
    assert event["livemode"] is False
    assert event["data"]["object"] == intent
    assert "previous_attributes" not in event["data"]
    assert api.find(f"/v1/events/{event['id']}") == event


def test_ids_stay_unexpanded_inside_events(api: Api, diary: Diary) -> None:
    intent = pay(api, **{"expand[]": "latest_charge"})
    event = diary.last(intent["id"], "payment_intent.succeeded")
    assert event["data"]["object"]["latest_charge"] == intent["latest_charge"]["id"]


def test_only_updates_say_what_was_before(api: Api, diary: Diary) -> None:
    intent = authorize(api)
    api.make(f"/v1/payment_intents/{intent['id']}/capture")
    for event in diary.about(intent["id"]):
        creation = event["type"] in {
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "payment_intent.amount_capturable_updated",
        }
        if creation and event["type"] != "payment_intent.amount_capturable_updated":
            assert "previous_attributes" not in event["data"]
    captured = diary.last(intent["id"], "charge.captured")
    before = captured["data"]["previous_attributes"]
    now = captured["data"]["object"]
    assert before
    assert all(now[key] != value for key, value in before.items())


def test_metadata_changes_show_their_leaves_only(api: Api, diary: Diary) -> None:
    intent = pay(api, **{"metadata[kept]": "1", "metadata[changed]": "old"})
    charge = intent["latest_charge"]
    api.make(f"/v1/charges/{charge}", {"metadata[changed]": "new", "metadata[added]": "x"})
    event = next(
        e
        for e in diary.about(intent["id"])
        if e["type"] == "charge.updated" and "metadata" in e["data"]["previous_attributes"]
    )
    assert event["data"]["previous_attributes"]["metadata"] == {"changed": "old", "added": None}


def test_an_event_without_a_key_has_none(api: Api, diary: Diary) -> None:
    intent = create(api)
    [event] = diary.about(intent["id"])
    assert event["request"]["idempotency_key"] is None
    assert event["request"]["id"].startswith("req_")


def test_a_decline_confirms_nothing(api: Api, diary: Diary) -> None:
    intent = create(api)
    api.post(
        f"/v1/payment_intents/{intent['id']}/confirm",
        {"payment_method": "pm_card_chargeDeclined"},
    )
    diary.tells(
        intent["id"],
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    )


def test_a_validation_error_makes_no_event(api: Api, diary: Diary) -> None:
    intent = create(api)
    api.post(f"/v1/payment_intents/{intent['id']}/confirm", {"nonsense": "1"})
    api.post(f"/v1/payment_intents/{intent['id']}/capture")
    assert diary.types(intent["id"]) == ["payment_intent.created"]


def test_customers_and_endpoints_are_not_payments(api: Api, diary: Diary) -> None:
    customer = api.make("/v1/customers", {"email": "jenny@example.com", "name": "Jenny"})
    diary.last(customer["id"], "customer.created")
    api.make(f"/v1/customers/{customer['id']}", {"name": "Rosen"})
    event = diary.last(customer["id"], "customer.updated")
    assert event["data"]["previous_attributes"] == {"name": "Jenny"}


@pytest.mark.parametrize("success", ["true", "false"])
def test_events_are_found_by_delivery_success(api: Api, success: str) -> None:
    try_to_pay(api, "pm_card_visa")
    page = api.find("/v1/events", {"delivery_success": success, "limit": 3})
    assert page["object"] == "list"
