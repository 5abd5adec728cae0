"""The operators' routes: access, answers, and refusal of ambiguous requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.kinds import EVENTS, NOTIFICATIONS
from shared.work.liveness import SILENT_SECONDS
from tests.conftest import make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury, bury_notifications, dead_refund
from worker.relay import ensure_duties

Json = dict[str, Any]
ROUTES = [
    ("GET", "/ops/service"),
    ("GET", "/ops/refunds/re_1"),
    ("GET", "/ops/dead-letters"),
    ("POST", "/ops/dead-letters/redrive"),
    ("GET", "/ops/items/evt_1"),
    ("POST", "/ops/items/evt_1/redrive"),
    ("POST", "/ops/refunds/rr_1/resolve"),
    ("GET", "/ops/events"),
    ("GET", "/ops/payments/pi_1"),
    ("GET", "/ops/queues"),
    ("GET", "/ops/reconcile"),
    ("POST", "/ops/reconcile"),
    ("GET", "/ops/audit"),
    ("GET", "/ops/payments"),
    ("GET", "/ops/payments/pi_1/work"),
    ("GET", "/ops/refunds"),
    ("GET", "/ops/notifications"),
    ("POST", "/ops/notifications/test"),
    ("GET", "/ops/find?text=pi_1"),
    ("GET", "/ops/rates"),
    ("GET", "/ops/payment-sums"),
    ("GET", "/ops/settings"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_api_key_opens_nothing_here(real_store: Store, method: str, path: str) -> None:
    keys = {"api_keys": "api-key-0123", "operator_keys": "operator-key-0123"}
    client = open_door(make_settings(**keys), real_store)
    body = {} if method == "POST" else None
    bearers = {"Authorization": "Bearer api-key-0123"}
    answer = client.open(path, method=method, headers=bearers, json=body)
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    bearers = {"Authorization": "Bearer operator-key-0123"}
    answer = client.open(path, method=method, headers=bearers, json=body)
    assert answer.status_code != 401


def test_every_route_of_operations_is_in_the_list_above(settings: Settings) -> None:
    app = create_app(settings)
    rules = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/ops/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert len(rules) == len(ROUTES)


def test_every_route_of_operations_is_documented(settings: Settings) -> None:
    paths = create_app(settings).api_doc["paths"]
    for path in [path for path in paths if path.startswith("/ops/")]:
        for operation in paths[path].values():
            assert {"401", "422", "503"} < set(operation["responses"]), path


def test_dead_letters_are_listed_and_narrowed(client: FlaskClient, real_store: Store) -> None:
    bury(real_store, "evt_1", "charge.updated")
    bury(real_store, "evt_2", "refund.created")
    bury_notifications(real_store, "pi_1", "ntf_1")
    assert client.get("/ops/dead-letters").get_json()["matched"] == 3
    one = client.get("/ops/dead-letters?kind=events&type=charge.*").get_json()
    assert [item["id"] for item in one["data"]] == ["evt_1"]
    none = client.get("/ops/dead-letters?since=2999-01-01T00:00:00Z").get_json()
    assert none["matched"] == 0


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("kind=upkeep", "kind"), ("since=yesterday", "since")],
)
def test_a_search_that_makes_no_sense_is_refused(
    client: FlaskClient, query: str, param: str
) -> None:
    answer = client.get(f"/ops/dead-letters?{query}")
    assert (answer.status_code, answer.get_json()["param"]) == (422, param)


def test_many_are_redriven_by_what_they_have_in_common(
    client: FlaskClient, real_store: Store
) -> None:
    bury(real_store, "evt_1", error="timeout")
    bury(real_store, "evt_2", error="no")
    body = {"kind": "events", "error": "timeout", "by": "kim", "reason": "fixed"}
    dry = client.post("/ops/dead-letters/redrive", json=body | {"dry_run": True}).get_json()
    assert (dry["dry_run"], dry["redriven"]) == (True, ["evt_1"])
    report = client.post("/ops/dead-letters/redrive", json=body).get_json()
    assert (report["dry_run"], report["redriven"]) == (False, ["evt_1"])
    assert client.get("/ops/dead-letters").get_json()["matched"] == 1
    (audit,) = client.get("/ops/audit").get_json()["data"]
    assert (audit["id"], audit["by"], audit["key"]) == ("evt_1", "kim", "open")


@pytest.mark.parametrize("body", [{}, {"ids": ["evt_1"], "kind": "events"}])
def test_a_redrive_of_nobody_knows_what_is_refused(client: FlaskClient, body: Json) -> None:
    answer = client.post("/ops/dead-letters/redrive", json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "ids_or_kind")


@pytest.mark.parametrize("item_id", ["evt_unknown", "pi_1", "evt_%2e", "evt_a:b"])
def test_an_item_that_is_not_there_is_not_found(client: FlaskClient, item_id: str) -> None:
    assert client.get(f"/ops/items/{item_id}").status_code == 404


def test_a_notification_tells_when_stripe_made_its_event(hands: Hands) -> None:
    hands.pay()
    (event,) = hands.deliver_events("payment_intent.succeeded")
    hands.work()
    (answer,) = hands.notifications()
    view = hands.client.get(f"/ops/items/{answer['id']}").get_json()
    assert int(view["created"]) == event["created"]
    assert view["recorded_at"].startswith("20")


def test_an_item_is_shown_whole(client: FlaskClient, real_store: Store) -> None:
    bury(real_store, "evt_1", error="inconsistent")
    answer = client.get("/ops/items/evt_1").get_json()
    assert (answer["state"], answer["payload"]["id"]) == ("dead", "evt_1")
    assert answer["history"][0]["error"] == "inconsistent"


def test_an_event_at_work_is_a_conflict(client: FlaskClient, real_store: Store) -> None:
    bury(real_store, "evt_1")
    assert client.post("/ops/items/evt_1/redrive", json={}).get_json() == {"outcome": "redriven"}
    answer = client.post("/ops/items/evt_1/redrive", json={})
    assert (answer.status_code, answer.get_json()["state"]) == (409, "received")


def test_a_refund_job_is_resolved_by_one_finding_only(hands: Hands) -> None:
    _, job = dead_refund(hands, refund_exists=False)
    path = f"/ops/refunds/{job}/resolve"
    for body in ({}, {"failed": True, "refund_id": "re_1"}):
        assert hands.client.post(path, json=body).status_code == 422
    assert hands.client.post(path, json={"failed": True}).get_json() == {"outcome": "resolved"}
    assert hands.client.post(path, json={"failed": True}).status_code == 409


def test_events_are_listed_by_state(hands: Hands) -> None:
    hands.pay()
    hands.deliver_events()
    assert hands.client.get("/ops/events?state=processed").get_json()["data"] == []
    hands.work()
    page = hands.client.get("/ops/events?state=processed&type=payment_intent.*").get_json()
    assert {item["type"] for item in page["data"]} == {
        "payment_intent.created",
        "payment_intent.succeeded",
    } or {item["type"] for item in page["data"]} == {"payment_intent.succeeded"}


def test_a_payment_is_told_without_asking_stripe(hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    answer = hands.client.get(f"/ops/payments/{payment}").get_json()
    assert answer["known"]["subjects"][payment]["status"] == "succeeded"
    kinds = {entry["kind"] for entry in answer["timeline"]}
    assert {"event_received", "notification_staged", "delivery_attempt"} < kinds
    assert hands.client.get("/ops/payments/pi_unknown").status_code == 404


def test_queues_tell_what_waits(client: FlaskClient, real_store: Store) -> None:
    bury(real_store, "evt_1")
    rows = {row["name"]: row for row in client.get("/ops/queues").get_json()["data"]}
    assert set(rows) == {"events", "refunds", "notifications", "upkeep"}
    assert (rows["events"]["depth"], rows["events"]["dead"]) == (1, 1)
    assert (rows["events"]["consumed_seconds_ago"], rows["events"]["consumers"]) == (None, 0)


def test_queues_tell_who_consumes_them(client: FlaskClient, real_store: Store) -> None:
    now = real_store.now_ms()
    silent_since = now - round(SILENT_SECONDS * 1000)
    real_store.redis.zadd(
        real_store.keys.signs(EVENTS.name), {"one:1": now, "two:2": now, "gone:3": silent_since}
    )
    real_store.redis.zadd(real_store.keys.signs(NOTIFICATIONS.name), {"two:2": now, "other:4": now})
    answer = client.get("/ops/queues").get_json()
    rows = {row["name"]: row["consumers"] for row in answer["data"]}
    assert rows == {"events": 2, "refunds": 0, "notifications": 2, "upkeep": 0}
    assert answer["workers"] == 3


def test_a_refund_is_told_by_either_of_its_names(hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    body = {"payment_intent_id": payment, "amount": 300}
    job = hands.client.post("/api/refund/process", json=body).get_json()["refund_request_id"]
    assert hands.client.get(f"/ops/refunds/{job}").get_json()["status"] == "queued"
    hands.work()
    answer = hands.client.get(f"/ops/refunds/{job}").get_json()
    assert (answer["payment_intent_id"], answer["status"]) == (payment, "succeeded")
    assert hands.client.get(f"/ops/refunds/{answer['refund_id']}").get_json()["amount"] == 300
    for unknown in ("rr_unknown", "pi_1", "re_unknown"):
        assert hands.client.get(f"/ops/refunds/{unknown}").status_code == 404


def test_reconcile_on_demand_is_accepted_and_audited(
    client: FlaskClient, real_store: Store
) -> None:
    ensure_duties(real_store)
    answer = client.post("/ops/reconcile", json={"by": "kim"})
    assert (answer.status_code, answer.get_json()) == (202, {"outcome": "due"})
    assert client.get("/ops/audit").get_json()["data"][0]["kind"] == "reconcile"
    assert real_store.redis.llen("{billing}:upkeep") == 1
    assert client.get("/ops/reconcile").get_json()["running"] is False


def test_a_store_that_is_away_is_an_outage_and_no_defect(sandbox: str) -> None:
    client = open_door(make_settings(redis_url="redis://127.0.0.1:9/0"))
    for path in ("/ops/dead-letters", "/ops/queues", "/ops/events", "/ops/items/evt_1"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "store_unavailable")


def test_a_search_reads_on_past_a_chunk(client: FlaskClient, real_store: Store) -> None:
    for number in range(501):
        bury(real_store, f"evt_{number}", "charge.updated")
    real_store.redis.hset(real_store.keys.item(EVENTS, "evt_0"), "type", "rare.one")
    page = client.get("/ops/dead-letters?type=rare.one").get_json()
    assert [item["id"] for item in page["data"]] == ["evt_0"]


@pytest.mark.parametrize(
    "payload",
    ["\ufeff{}", "no JSON", "[1]", '{"created": 1e400}', '{"a": NaN}', '{"a": "\\ud800"}'],
)
def test_an_item_is_shown_though_its_payload_cannot_be_read(hands: Hands, payload: str) -> None:
    hands.pay()
    (event,) = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    hands.post_event(event)
    hands.runtime.store.redis.set(hands.runtime.store.keys.body(EVENTS, event["id"]), payload)
    hands.work()
    answer = hands.client.get(f"/ops/items/{event['id']}")
    assert answer.status_code == 200
    view = json.loads(answer.data, parse_constant=pytest.fail)["payload"]
    assert isinstance(view, dict)
    assert view.get("unreadable", payload) == payload


def test_a_timeline_that_an_older_version_wrote_is_told_by_todays_names(
    client: FlaskClient, real_store: Store
) -> None:
    old = '{"kind": "event_received", "event_id": "evt_1", "type": "charge.updated", "at_ms": 1}'
    real_store.redis.rpush(real_store.keys.timeline("pi_1"), old)
    bury(real_store, "evt_1", error="no payment")
    answer = client.get("/ops/payments/pi_1").get_json()["timeline"]
    assert [(entry["kind"], entry["stripe_event_id"]) for entry in answer] == [
        ("event_received", "evt_1"),
        ("event_attempt", "evt_1"),
    ]
    assert not [entry for entry in answer if "event_id" in entry]
    (work,) = client.get("/ops/payments/pi_1/work").get_json()["data"]
    assert work["id"] == "evt_1"
