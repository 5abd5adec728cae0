"""The operators' search of payments by the index: ids, values, sums, dead letters."""

from __future__ import annotations

import pytest
import requests

from api import find
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury_notifications
from tests.integration.test_ops_lists import got, matches
from tests.integration.test_payment_index import pay


def test_every_id_and_whole_value_is_looked_up_and_not_searched_for(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"order_id": "A-4711", "event_id": "concert-7", "user_id": "u-1"}
    answer = hands.pay(customer_email="kim@example.com", metadata=metadata)
    payment, charge = (answer.get_json()[name] for name in ("payment_intent_id", "charge_id"))
    hands.deliver_events()
    body = {"payment_intent_id": payment, "amount": 300}
    request = hands.client.post("/api/refund/process", json=body)
    job = request.get_json()["refund_request_id"]
    hands.work()
    hands.deliver_events()
    hands.work()
    dispute = requests.post(
        f"{hands.sandbox}/_sandbox/disputes", json={"payment_intent": payment}, timeout=5
    )
    dispute.raise_for_status()
    hands.deliver_events()
    hands.work()
    subjects = got(hands, f"payments/{payment}")["known"]["subjects"]
    ids = [name for name in subjects if name[:3] in ("re_", "du_", "dp_") and ":" not in name]
    assert len(ids) == 2
    requests_ = [answer.headers["X-Request-Id"], request.headers["X-Request-Id"]]
    by_stripe = [event["request"]["id"] for event in hands.events() if event["request"]["id"]][:1]
    monkeypatch.setattr(find, "MOST_ITEMS", 0)
    for text in (payment, charge, *ids, *requests_, *by_stripe, *metadata.values()):
        assert ("payment", payment) in matches(hands, text), text
    assert ("payment", payment) in matches(hands, "KIM@example.com")
    assert ("item", job) in matches(hands, job)
    assert ("item", job) in matches(hands, requests_[1])
    assert matches(hands, "A-471") == set()


def test_the_payments_of_an_event_are_summed_up_by_status_and_currency(hands: Hands) -> None:
    event = {"event_id": "e"}
    for amount, currency in ((1000, "sgd"), (250, "sgd"), (5000, "jpy")):
        last = pay(hands, amount=amount, currency=currency, metadata=event)
    hands.pay("pm_card_chargeDeclined", metadata=event)
    hands.client.post("/api/refund/process", json={"payment_intent_id": last, "amount": 2000})
    pay(hands, amount=99, metadata={"event_id": "another"})
    totals = got(hands, "payment-sums", event_id="e")
    sums = {(one["status"], one["currency"]): one for one in totals["sums"]}
    assert (totals["payments"], totals["complete"]) == (4, True)
    sgd, jpy = sums["succeeded", "sgd"], sums["succeeded", "jpy"]
    assert (sgd["payments"], sgd["amount_received"], sgd["amount_refunded"]) == (2, 1250, 0)
    assert (jpy["payments"], jpy["amount_received"]) == (1, 5000)
    assert sums["requires_payment_method", "sgd"]["amount_received"] == 0
    hands.deliver_events()
    hands.work()
    after = got(hands, "payment-sums", event_id="e", status="succeeded")["sums"]
    assert next(one for one in after if one["currency"] == "jpy")["amount_refunded"] == 2000
    clock = f"{hands.sandbox}/_sandbox/clock"
    requests.post(clock, json={"advance_seconds": 2}, timeout=5).raise_for_status()
    hands.deliver_events()
    hands.work()
    settled = got(hands, "payment-sums", event_id="e")["settled"]
    assert settled
    assert all(one["net"] > one["fee"] > 0 for one in settled), settled


def test_payments_with_dead_work_are_listed_alone_and_page_by_page(hands: Hands) -> None:
    payments = [pay(hands) for _ in range(4)]
    for number, payment in enumerate(payments[:3]):
        bury_notifications(hands.runtime.store, payment, f"ntf_dead{number}")
    first = got(hands, "payments", dead="true", limit=2)
    assert [row["payment_id"] for row in first["data"]] == payments[2:0:-1]
    assert not first["complete"]
    rest = got(hands, "payments", dead="true", limit=2, starting_after=payments[1])
    assert ([row["payment_id"] for row in rest["data"]], rest["complete"]) == ([payments[0]], True)
    living = got(hands, "payments", dead="false")["data"]
    assert [row["payment_id"] for row in living] == [payments[3]]
