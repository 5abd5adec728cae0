"""The operators' lists: recorded items, found by an id or value that a person knows."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from api import known_payments, ops_lists
from shared.settings import Settings
from shared.store.figures import flush
from shared.store.scripts import Store
from tests import hostile
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury, bury_notifications
from worker.runtime import Runtime

Json = dict[str, Any]


def got(hands: Hands, path: str, **query: Any) -> Json:
    answer = hands.client.get(f"/ops/{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    page: Json = answer.get_json()
    return page


def pay(hands: Hands, **fields: Any) -> str:
    """Take a payment and process all that follows."""
    payment: str = hands.pay(**fields).get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    return payment


def test_payments_are_listed_with_whose_they_are_and_how_they_stand(hands: Hands) -> None:
    metadata = {"event_id": "concert-7", "user_id": "u-1"}
    first = pay(hands, amount=4200, customer_email="kim@example.com", metadata=metadata)
    second = pay(hands, currency="jpy")
    rows = got(hands, "payments")["data"]
    assert [row["payment_id"] for row in rows] == [second, first]
    row = rows[1]
    assert (row["status"], row["amount"], row["currency"]) == ("succeeded", 4200, "sgd")
    assert (row["event_id"], row["user_id"]) == ("concert-7", "u-1")
    assert (row["customer_email"], row["dispute"], row["dead"]) == ("kim@example.com", None, 0)
    for narrowed in ({"event_id": "concert-7"}, {"email": "KIM@"}):
        assert [r["payment_id"] for r in got(hands, "payments", **narrowed)["data"]] == [first]
    assert got(hands, "payments", status="canceled")["data"] == []
    assert len(got(hands, "payments", status="succeeded")["data"]) == 2


def test_payments_are_paged_and_none_is_shown_twice(hands: Hands) -> None:
    payments = [hands.pay().get_json()["payment_intent_id"] for _ in range(7)]
    hands.deliver_events()
    hands.work()
    pages: list[str] = []
    query: Json = {"limit": 3}
    while True:
        page = got(hands, "payments", **query)
        pages += [row["payment_id"] for row in page["data"]]
        if page["complete"]:
            break
        query |= {"starting_after": pages[-1]}
        pay(hands)  # a newer payment must not shift a later page
    assert len(pages) == len(set(pages))
    assert set(pages) == set(payments)


def test_a_payment_with_dead_work_and_a_dispute_says_so(hands: Hands) -> None:
    disputed = pay(hands, method="pm_card_createDispute")
    hands.deliver_events()
    hands.work()
    (row,) = got(hands, "payments", disputed="true")["data"]
    assert row["payment_id"] == disputed
    assert row["dispute"] in ("needs_response", "warning_needs_response")
    assert row["dispute_due_by"] > 1_700_000_000
    bury_notifications(hands.runtime.store, disputed, "ntf_dead1")
    assert got(hands, "payments")["data"][0]["dead"] == 1
    assert got(hands, "payments", disputed="false")["data"] == []


def test_a_refund_is_listed_with_its_amount_and_how_it_ended(hands: Hands) -> None:
    payment = pay(hands, amount=1000)
    for amount in (300, 900):
        body = {"payment_intent_id": payment, "amount": amount, "reason": "duplicate"}
        hands.client.post("/api/refund/process", json=body)
    queued = got(hands, "refunds", status="queued")["data"]
    assert sorted(row["amount"] for row in queued) == [300, 900]
    assert {row["currency"] for row in queued} == {"sgd"}  # the payment's currency
    hands.work()
    rows = {row["amount"]: row for row in got(hands, "refunds", payment_id=payment)["data"]}
    assert (rows[300]["status"], rows[300]["currency"]) == ("refunded", "sgd")
    assert rows[300]["refund_id"].startswith("re_")
    assert rows[900]["status"] == "failed"
    assert rows[900]["error"]
    assert [row["amount"] for row in got(hands, "refunds", status="failed")["data"]] == [900]


def test_notifications_are_listed_by_state_type_and_time(hands: Hands) -> None:
    payment = pay(hands)
    requests.post(f"{hands.receiver}/_control/faults", json={"status": 500}, timeout=5)
    hands.pay("pm_card_chargeDeclined")
    hands.deliver_events("payment_intent.payment_failed")
    hands.ring()
    hands.ring()
    (notification,) = got(hands, "notifications", type="payment.succeeded")["data"]
    assert (notification["state"], notification["payment_id"], notification["attempts"]) == (
        "delivered",
        payment,
        1,
    )
    assert (notification["sequence"], notification["is_test"], notification["next_attempt_at"]) == (
        1,
        False,
        None,
    )
    (waiting,) = got(hands, "notifications", state="retrying")["data"]
    assert waiting["next_attempt_at"] > waiting["recorded_at"]
    assert "500" in waiting["error"]
    assert got(hands, "notifications", since="2999-01-01T00:00:00Z")["data"] == []
    page = got(hands, "notifications", limit=1)
    assert (len(page["data"]), page["complete"]) == (1, False)


class Refusing(BaseHTTPRequestHandler):
    """An event service that refuses everything and gives its reason."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(422)
        self.end_headers()
        self.wfile.write(b"no such ticket")

    def log_message(self, *_: Any) -> None:
        """Write no log line."""


def test_a_list_that_was_not_read_to_its_end_says_so(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        hands.client.post("/ops/notifications/test", json={})
    assert got(hands, "notifications", state="dead")["complete"]
    monkeypatch.setattr(ops_lists, "SCAN_LIMIT", 2)
    assert not got(hands, "notifications", state="dead")["complete"]
    assert not got(hands, "notifications")["complete"]
    monkeypatch.setattr(known_payments, "MOST_PAYMENTS", 2)
    pay(hands), pay(hands)
    assert got(hands, "payments", email="nobody@")["complete"]
    pay(hands)
    assert not got(hands, "payments", email="nobody@")["complete"]


def test_each_attempt_is_kept_with_its_status_time_and_answer(
    settings: Settings, real_store: Store, sandbox: str, receiver: str
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        changed = settings.model_copy(update={"event_service_url": address})
        runtime = Runtime(changed, real_store)
        client = open_door(changed, real_store)
        hands = Hands(client, runtime, sandbox, receiver)
        hands.pay()
        hands.deliver_events("payment_intent.succeeded")
        hands.ring()
        hands.ring()
        runtime.event_service.close()
        server.shutdown()
    (notification,) = got(hands, "notifications", type="payment.succeeded")["data"]
    (tried,) = got(hands, f"items/{notification['id']}")["history"]
    assert (tried["outcome"], tried["status"], tried["answer"]) == ("retry", 422, "no such ticket")
    assert tried["at"].startswith("20")


@pytest.mark.parametrize(
    ("answer", "state", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks", "delivered", None),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 6\r\n\r\nthanks", "dead", "status"),
    ],
)
def test_a_final_answer_ends_a_notification_and_its_text_is_kept(
    hands: Hands, settings: Settings, answer: bytes, state: str, failure: str | None
) -> None:
    hands.pay()
    hands.deliver_events("payment_intent.succeeded")
    with hostile.peer(hostile.says(answer)) as peer:
        changed = settings.model_copy(update={"event_service_url": peer.url})
        hands.runtime = Runtime(changed, hands.runtime.store)
        hands.ring()
        hands.ring()
        hands.runtime.event_service.close()
    (notification,) = got(hands, "notifications", type="payment.succeeded")["data"]
    (tried,) = got(hands, f"items/{notification['id']}")["history"]
    assert notification["state"] == state
    assert (tried["outcome"], tried["answer"], tried.get("failure")) == (state, "thanks", failure)


def test_a_test_notification_is_signed_marked_and_of_no_payment(hands: Hands) -> None:
    answer = hands.client.post("/ops/notifications/test", json={"by": "kim", "reason": "new url"})
    assert answer.status_code == 202
    staged = answer.get_json()["id"]
    hands.work()
    (notification,) = hands.notifications()
    assert (notification["id"], notification["type"]) == (staged, "test.notification")
    data = notification["body"]["data"]
    assert data["metadata"] == {"test": "true"}
    assert not [name for name in data if name.endswith("_id") and data[name] is not None]
    (row,) = got(hands, "notifications")["data"]
    assert (row["state"], row["is_test"], row["payment_id"]) == ("delivered", True, None)
    (audit,) = got(hands, "audit")["data"]
    assert (audit["kind"], audit["id"], audit["by"]) == ("test_notification", staged, "kim")
    assert got(hands, "payments")["data"] == []
    hands.client.post(f"/ops/items/{staged}/redrive", json={})
    hands.work()
    assert [item["duplicate"] for item in hands.notifications()] == [False, True]


def test_each_test_notification_is_another(hands: Hands) -> None:
    ids = {hands.client.post("/ops/notifications/test", json={}).get_json()["id"] for _ in range(3)}
    assert len(ids) == 3
    hands.work()
    assert len(hands.notifications()) == 3


def matches(hands: Hands, text: str) -> set[tuple[str, str]]:
    return {(one["kind"], one["id"]) for one in got(hands, "find", text=text)["data"]}


def test_a_payment_is_found_by_whatever_belongs_to_it(hands: Hands) -> None:
    metadata = {"order_id": "A-4711", "event_id": "concert-7"}
    answer = hands.pay("pm_card_createDispute", customer_email="kim@example.com", metadata=metadata)
    payment = answer.get_json()["payment_intent_id"]
    pay(hands)  # another payment
    hands.deliver_events()
    hands.work()
    charge = answer.get_json()["charge_id"]
    events = got(hands, "events", payment_id=payment, limit=100)["data"]
    dispute = next(
        event["payload"]["data"]["object"]["id"]
        for event in (got(hands, f"items/{row['id']}") for row in events)
        if event["type"] == "charge.dispute.created"
    )
    request = answer.headers["X-Request-Id"]
    for text in (payment, charge, dispute, request, "A-4711", "kim@example.com", "KIM@EXAMPLE"):
        assert ("payment", payment) in matches(hands, text), text
        assert len([one for one in matches(hands, text) if one[0] == "payment"]) == 1, text
    assert matches(hands, "pi_unknown") == set()
    assert matches(hands, "amount") == set()  # names of fields are not searched


def test_what_a_request_caused_is_found_by_its_id(hands: Hands) -> None:
    payment = pay(hands)
    body = {"payment_intent_id": payment, "amount": 300}
    request = hands.client.post("/api/refund/process", json=body)
    job = request.get_json()["refund_request_id"]
    hands.work()
    page = matches(hands, request.headers["X-Request-Id"])
    assert ("item", job) in page
    refund = got(hands, f"refunds/{job}")["refund_id"]
    assert ("item", job) in matches(hands, refund)
    event = hands.events()[0]
    by_stripe = matches(hands, event["request"]["id"])
    assert {("event", event["id"]), ("payment", payment)} <= by_stripe


def test_the_work_of_a_payment_is_listed_with_where_it_stands(hands: Hands) -> None:
    payment = pay(hands)
    hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    work = got(hands, f"payments/{payment}/work")["data"]
    states = {(item["kind"], item["state"]) for item in work}
    assert states == {
        ("events", "processed"),
        ("notifications", "delivered"),
        ("refunds", "queued"),
    }
    assert got(hands, "payments/pi_unknown/work")["data"] == []


def test_the_story_of_a_payment_tells_failed_attempts_and_who_redrove(
    hands: Hands, client: FlaskClient, real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.stripe.translation.RETRY_AFTER_SECONDS", 1)
    payment = pay(hands)
    hands.break_stripe(kind="error", method="POST", path_prefix="/v1/refunds", times=1)
    job = client.post("/api/refund/process", json={"payment_intent_id": payment}).get_json()
    hands.ring()
    (notification,) = got(hands, "notifications", type="payment.succeeded")["data"]
    body = {"by": "kim", "reason": "once more"}
    client.post(f"/ops/items/{notification['id']}/redrive", json=body).get_json()
    hands.work()
    timeline = got(hands, f"payments/{payment}")["timeline"]
    (tried,) = [entry for entry in timeline if entry["kind"] == "refund_attempt"]
    assert (tried["outcome"], tried["refund_request_id"]) == ("retry", job["refund_request_id"])
    (redriven,) = [entry for entry in timeline if entry["kind"] == "redriven"]
    assert (redriven["by"], redriven["reason"]) == ("kim", "once more")
    assert redriven["notification_id"] == notification["id"]
    deliveries = [entry for entry in timeline if entry["kind"] == "delivery_attempt"]
    assert [d["outcome"] for d in deliveries if d["notification_id"] == notification["id"]] == [
        "delivered",
        "delivered",
    ]


def test_rates_tell_what_was_counted_and_how_long_it_took(hands: Hands) -> None:
    pay(hands)
    flush(hands.runtime.store)
    page = got(hands, "rates", hours=1)
    assert set(page["counts"]) == {
        *("events", "payments", "declines", "refunds", "notifications", "failures"),
        *("other_mode", "other_mode_connected"),
    }
    assert sum(page["counts"]["payments"]) == 1
    assert {len(row) for row in page["counts"].values()} == {12}
    assert (len(page["delays"]), page["bucket_seconds"]) == (12, 300)
    assert 0 < page["delay"]["p50"] <= page["delay"]["p99"]


@pytest.mark.parametrize(
    "path",
    [
        "payments?limit=0",
        "payments?since=yesterday",
        "notifications?state=odd",
        "refunds?status=odd",
        "rates?hours=25",
        "find?text=a",
        "find",
    ],
)
def test_a_list_that_makes_no_sense_is_refused(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/ops/{path}")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_parameter")


def test_lists_are_empty_where_nothing_is_recorded(hands: Hands) -> None:
    for path in ("payments", "refunds", "notifications"):
        page = got(hands, path)
        assert (page["data"], page["complete"]) == ([], True)
    assert got(hands, "rates")["delay"] == {"p50": None, "p99": None}


def test_a_dead_event_is_no_obstacle_to_a_list(hands: Hands, real_store: Store) -> None:
    bury(real_store, "evt_1")
    assert got(hands, "payments")["data"] == []
