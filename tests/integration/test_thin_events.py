"""Thin events, the snapshots of the same events, and events that Stripe failed to generate."""

from __future__ import annotations

from typing import Any

import pytest

from shared.stripe.gateway import StripeGateway
from shared.work.kinds import EVENTS
from tests.integration.hands import Hands
from tests.integration.money import alone, charge, event, intent, refund
from worker import reconcile
from worker.lost_events import GENERATION_FAILURE

Json = dict[str, Any]
OBJECTS = {
    "/v1/payment_intents/pi_1": intent(amount_received=2000),
    "/v1/charges/ch_1": charge(),
    "/v1/refunds/re_1": refund(),
}


@pytest.fixture(autouse=True)
def stripe_holds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Make Stripe return these objects; list the fetched ones with their accounts."""
    alone(monkeypatch)
    fetched: list[tuple[str, str | None]] = []

    def related_object(_: object, url: str, account: str | None = None) -> Json:
        fetched.append((url, account))
        return OBJECTS[url]

    monkeypatch.setattr(StripeGateway, "related_object", related_object)
    return fetched


def thin(event_type: str, url: str | None, **changes: Any) -> Json:
    related = {"id": url.rpartition("/")[2], "type": "x", "url": url} if url else None
    defaults = {
        "id": "evt_test_thin",
        "object": "v2.core.event",
        "type": event_type,
        "created": "2026-03-01T12:00:00.000Z",
        "livemode": False,
        "related_object": related,
    }
    return defaults | changes


def notice(impact: Json, **changes: Any) -> Json:
    data = {"alert_id": "halert_1", "impact": impact, "summary": "We failed."}
    return thin(GENERATION_FAILURE, None, data=data) | changes


def recorded(hands: Hands) -> list[str]:
    store = hands.runtime.store
    ids: list[str] = store.redis.zrange(store.keys.index(EVENTS), 0, -1)
    return ids


@pytest.mark.parametrize("snapshot_first", [True, False])
def test_a_thin_event_and_its_twin_snapshot_are_worked_once(
    hands: Hands, snapshot_first: bool
) -> None:
    snapshot = event("payment_intent.succeeded", intent(amount_received=2000))
    twin = thin(
        "v1.payment_intent.succeeded", "/v1/payment_intents/pi_1", snapshot_event=snapshot["id"]
    )
    order = [snapshot, twin] if snapshot_first else [twin, snapshot]
    answers = [hands.post_event(one).get_json()["result"] for one in order]
    hands.work()
    assert answers == ["recorded", "duplicate"]
    assert recorded(hands) == [snapshot["id"]]
    assert hands.notified_types() == ["payment.succeeded"]


def test_the_snapshot_of_a_thin_only_destination_is_no_gap(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.pay()
    types = ("payment_intent.succeeded", "payment_intent.created", "charge.succeeded")
    events = [e for e in hands.events() if e["type"] in types]
    assert len(events) == len(types)
    for one in events:
        url = f"/v1/payment_intents/{one['data']['object']['id']}"
        notification = thin("v1." + one["type"], url, id=f"evt_test_{one['type'][-6:]}")
        assert hands.post_event(notification | {"snapshot_event": one["id"]}).status_code == 200
    monkeypatch.setattr(reconcile, "LANES", (types,))
    assert reconcile.run_once(hands.runtime).recorded == 0


@pytest.mark.parametrize(
    ("lost_type", "url", "notification"),
    [
        ("payment_intent.succeeded", "/v1/payment_intents/pi_1", ["payment.succeeded"]),
        ("payment_intent.processing", "/v1/payment_intents/pi_1", ["payment.succeeded"]),
        ("refund.created", "/v1/refunds/re_1", ["refund.succeeded"]),
        ("charge.updated", "/v1/charges/ch_1", []),
        ("v1.payment_intent.succeeded", "/v1/payment_intents/pi_1", ["payment.succeeded"]),
    ],
)
def test_an_event_that_stripe_failed_to_generate_is_looked_up(
    hands: Hands, stripe_holds: list[Any], lost_type: str, url: str, notification: list[str]
) -> None:
    # The URL in the announcement leads to the dashboard.
    related = {"id": url.rpartition("/")[2], "type": url.split("/")[2][:-1], "url": "https://x"}
    hands.post_event(notice({"event_type": lost_type, "related_object": related}))
    hands.work()
    assert stripe_holds == [(url, None)]
    assert hands.notified_types() == notification


@pytest.mark.parametrize("context", ["acct_1Seller", "org_1/acct_1Seller"])
def test_a_lost_event_of_a_connected_account_is_looked_up_there(
    hands: Hands, stripe_holds: list[Any], context: str
) -> None:
    impact = {"event_type": "refund.created", "related_object_id": "re_1"}
    hands.post_event(notice(impact | {"context": context}))
    hands.work()
    assert stripe_holds == [("/v1/refunds/re_1", "acct_1Seller")]
    (notification,) = hands.notifications()
    assert notification["body"]["data"]["account"] == "acct_1Seller"


def test_a_notice_that_carries_no_data_is_fetched_first(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, stripe_holds: list[Any]
) -> None:
    related = {"id": "pi_1", "type": "payment_intent"}
    whole = notice({"event_type": "payment_intent.succeeded", "related_object": related})
    monkeypatch.setattr(StripeGateway, "event", lambda *_: whole)
    hands.post_event({name: value for name, value in whole.items() if name != "data"})
    hands.work()
    assert [url for url, _ in stripe_holds] == ["/v1/payment_intents/pi_1"]
    assert hands.notified_types() == ["payment.succeeded"]


def test_a_lost_event_of_no_interest_is_ignored(hands: Hands, stripe_holds: list[Any]) -> None:
    related = {"id": "cus_1", "type": "customer"}
    hands.post_event(notice({"event_type": "customer.created", "related_object": related}))
    hands.work()
    assert (stripe_holds, hands.notified_types()) == ([], [])
    (event_id,) = recorded(hands)
    item = hands.runtime.store.hash(hands.runtime.store.keys.item(EVENTS, event_id))
    assert item["state"] == "ignored"


def test_an_address_with_a_slash_at_its_end_is_the_same_endpoint(hands: Hands) -> None:
    snapshot = event("payment_intent.succeeded", intent(amount_received=2000))
    assert hands.post_event(snapshot, path="/api/webhook/").status_code == 200
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]
