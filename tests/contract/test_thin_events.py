"""Thin events: of the same events as snapshots, and about events that were never generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import stripe

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import create, pay
from tests.contract.receiver import Receiver
from tests.contract.side import Side
from tests.servers import wait_until

pytestmark = pytest.mark.fake_only(reason="Stripe does not reach this machine's loopback")
HEALTH = "v2.core.health.event_generation_failure.resolved"
EVENTS = "/v2/core/events"
DESTINATIONS = "/v2/core/event_destinations"
# Seconds for a delivery.
Destination = Callable[..., dict[str, Any]]


@pytest.fixture
def destination(side: Side, receiver: Receiver) -> Iterator[Destination]:
    """Make event destinations for the receiver; delete them after the test."""
    responses = []

    def make(*types: str, **more: object) -> dict[str, Any]:
        form = {
            "name": "ours",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": list(types),
            "webhook_endpoint": {"url": receiver.url},
            "include": ["webhook_endpoint.signing_secret"],
        }
        responses.append(json_call(side, "POST", DESTINATIONS, form | more))
        return responses[-1].json()

    yield make
    for one in responses:
        if one.status_code == 200:
            json_call(side, "DELETE", f"{DESTINATIONS}/{one.json()['id']}")


def json_call(side: Side, method: str, path: str, body: object = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {side.key}"}
    return requests.request(method, side.url + path, json=body, headers=headers, timeout=10)


def arrived(receiver: Receiver, event_type: str) -> Any:
    def look() -> Any:
        return next((d for d in receiver.deliveries if d.event["type"] == event_type), None)

    return wait_until(look, event_type)


def test_a_v1_event_comes_as_a_notice(
    api: Api,
    receiver: Receiver,
    destination: Destination,
    sdk: stripe.StripeClient,
    diary: Diary,
) -> None:
    new_destination = destination("v1.payment_intent.succeeded", events_from=["@self"])
    intent = pay(api)
    delivery = arrived(receiver, "v1.payment_intent.succeeded")
    notice = delivery.event
    assert "data" not in notice
    assert notice["related_object"]["id"] == intent["id"]
    snapshot = diary.last(intent["id"], "payment_intent.succeeded")
    assert notice["snapshot_event"] == snapshot["id"] != notice["id"]
    parsed = sdk.parse_event_notification(
        delivery.body,
        delivery.headers["stripe-signature"],
        new_destination["webhook_endpoint"]["signing_secret"],
    )
    assert parsed.id == notice["id"]
    fetched = sdk.v2.core.events.retrieve(notice["id"])
    assert fetched.snapshot_event == snapshot["id"]


def test_a_fetch_says_what_was_changed(api: Api, sdk: stripe.StripeClient, diary: Diary) -> None:
    product = api.make("/v1/products", {"name": "before"})
    api.make(f"/v1/products/{product['id']}", {"name": "after"})
    [event] = sdk.v2.core.events.list(
        {"object_id": product["id"], "types": ["v1.product.updated"]}
    ).data
    assert event.changes is not None
    assert event.changes.to_dict() == {"before": {"name": "before"}, "after": {"name": "after"}}


def test_events_are_listed_page_by_page(api: Api, sdk: stripe.StripeClient) -> None:
    intent = create(api)
    for value in "abcd":
        api.make(f"/v1/payment_intents/{intent['id']}", {"metadata[a]": value})
    for _ in range(2):
        pay(api)
    ids = [event.id for event in sdk.v2.core.events.list({"limit": 2}).auto_paging_iter()]
    assert len(ids) == len(set(ids)) > 4
    times = [event["created"] for event in api.find(EVENTS, {"limit": 100})["data"]]
    assert times == sorted(times, reverse=True)
    # A debit of another test may settle meanwhile.
    later = api.find(EVENTS, {"created[gt]": times[0]})["data"]
    assert all(event["created"] > times[0] for event in later)
    assert api.find(EVENTS, {"created[lte]": times[0]})["data"] != []


def test_a_lost_event_is_told_of_by_its_object(
    api: Api, side: Side, receiver: Receiver, destination: Destination, sdk: stripe.StripeClient
) -> None:
    diary = Diary(api, side)
    destination(HEALTH)
    side.control("event_generation_failures", types=["charge.succeeded"], count=1)
    lost, second = pay(api), pay(api)
    assert "charge.succeeded" not in diary.types(lost["latest_charge"])
    assert "charge.succeeded" in diary.types(second["latest_charge"])
    side.let_time_pass(10)
    notice = arrived(receiver, HEALTH).event
    assert "data" not in notice
    fetched: Any = sdk.v2.core.events.retrieve(notice["id"]).to_dict()
    impact = fetched["data"]["impact"]
    assert impact["event_type"] == "charge.succeeded"
    assert impact["related_object_id"] == lost["latest_charge"]
    listing = sdk.v2.core.events.list({"types": [HEALTH]}).data
    assert notice["id"] in [event.id for event in listing]


def test_a_destination_is_changed_and_switched_off(
    api: Api, side: Side, receiver: Receiver, destination: Destination
) -> None:
    new_destination = destination("v1.payment_intent.created")
    path = f"{DESTINATIONS}/{new_destination['id']}"
    changed = json_call(side, "POST", path, {"enabled_events": ["v1.charge.succeeded"]}).json()
    assert changed["enabled_events"] == ["v1.charge.succeeded"]
    pay(api)
    arrived(receiver, "v1.charge.succeeded")
    assert {d.event["type"] for d in receiver.deliveries} == {"v1.charge.succeeded"}
    off = json_call(side, "POST", f"{path}/disable", {}).json()
    assert (off["status"], off["status_details"]["disabled"]["reason"]) == ("disabled", "user")
    assert json_call(side, "POST", f"{path}/enable", {}).json()["status"] == "enabled"


@pytest.mark.parametrize(
    "wrong",
    [
        {"enabled_events": ["payment_intent.succeeded"]},
        {"event_payload": "snapshot", "enabled_events": ["v1.payment_intent.succeeded"]},
        {"snapshot_api_version": "2026-08-26.dahlia"},
        {"events_from": ["@organization_members"]},
        {"events_from": ["self"]},
    ],
)
def test_a_destination_that_would_hear_nothing_is_refused(
    destination: Destination, wrong: dict[str, object]
) -> None:
    assert "error" in destination("v1.charge.succeeded", **wrong)


def test_there_are_at_most_sixteen(fresh_sandbox: Callable[..., tuple[Side, Api]]) -> None:
    side, _ = fresh_sandbox()
    form = {
        "name": "one of many",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v1.charge.succeeded"],
        "webhook_endpoint": {"url": "http://127.0.0.1:9/"},
    }
    statuses = [json_call(side, "POST", DESTINATIONS, form).status_code for _ in range(17)]
    assert statuses == [200] * 16 + [400]
