"""Refunds from the request to the notification: API, worker and sandbox together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from api.refund import wait_seconds
from shared.store.scripts import Store
from tests.conftest import make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands

Json = dict[str, Any]


@pytest.fixture
def payment(hands: Hands) -> str:
    """Take a payment of 10.00 whose notifications were delivered."""
    return pay(hands)


def pay(hands: Hands, method: str = "pm_card_visa", **fields: Any) -> str:
    answer = hands.pay(method, **fields)
    hands.deliver_events()
    hands.work()
    payment: str = answer.get_json()["payment_intent_id"]
    return payment


def refund(hands: Hands, payment: str, key: str | None = None, **fields: Any) -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"payment_intent_id": payment} | fields
    return hands.client.post("/api/refund/process", json=body, headers=headers)


def wait_for_stripe(hands: Hands, seconds: int = 20) -> None:
    url = f"{hands.sandbox}/_sandbox/clock"
    requests.post(url, json={"advance_seconds": seconds}, timeout=5).raise_for_status()


def refund_details(hands: Hands, refund_id: str) -> Json:
    answer = hands.client.get(f"/api/refund/{refund_id}")
    assert answer.status_code == 200
    body: Json = answer.get_json()
    return body


def at_stripe(hands: Hands, payment: str) -> list[int]:
    """List the amounts of the refunds that Stripe made, oldest first."""
    refunds = hands.runtime.gateway.refunds_of(payment_intent=payment)
    return [item["amount"] for item in reversed(refunds)]


def test_a_full_refund_is_queued_made_and_told(hands: Hands, payment: str) -> None:
    answer = refund(hands, payment, metadata={"why": "rain"}, reason="requested_by_customer")
    job = answer.get_json()["refund_request_id"]
    assert (answer.status_code, answer.get_json()["status"]) == (202, "queued")
    assert answer.headers["Location"] == f"/api/refund/{job}"
    assert refund_details(hands, job)["status"] == "queued"
    assert at_stripe(hands, payment) == []

    hands.work()
    hands.deliver_events()
    hands.work()

    by_job = refund_details(hands, job)
    by_refund = refund_details(hands, by_job["refund_id"])
    assert (by_job["status"], by_job["amount"], by_job["attempts"]) == ("succeeded", 1000, 1)
    assert by_refund["refund_request_id"] == job
    same = ("refund_id", "status", "amount", "currency", "reason", "charge_id", "metadata")
    assert [by_job[name] for name in same] == [by_refund[name] for name in same]
    assert hands.notified_types() == ["payment.succeeded", "refund.succeeded"]
    bodies = hands.notifications()[-1]["body"]["data"]
    assert (bodies["refund_id"], bodies["amount_refunded"]) == (by_job["refund_id"], 1000)
    story = hands.client.get(f"/api/payment/{payment}").get_json()
    assert (story["amount_refunded"], len(story["refunds"])) == (1000, 1)


def test_parts_are_refunded_until_nothing_is_left(hands: Hands, payment: str) -> None:
    for terms in ({"amount": 300}, {"amount": 200}, {}):
        refund(hands, payment, **terms)
        hands.work()
        hands.deliver_events()
        hands.work()

    assert at_stripe(hands, payment) == [300, 200, 500]
    assert hands.notified_types() == ["payment.succeeded", *["refund.succeeded"] * 3]
    bodies = [item["body"] for item in hands.notifications()]
    assert [body["data"]["amount_refunded"] for body in bodies] == [0, 300, 500, 1000]


@pytest.mark.parametrize(
    ("method", "first", "terms", "code"),
    [
        ("pm_card_visa", None, {"amount": 1001}, "stripe_refused"),
        ("pm_card_visa", 600, {"amount": 500}, "stripe_refused"),
        ("pm_card_visa", 1000, {}, "charge_already_refunded"),
        ("pm_card_createDispute", None, {}, "charge_disputed"),
        ("pm_card_chargeDeclined", None, {}, "payment_intent_unexpected_state"),
    ],
    ids=["more than was paid", "more than is left", "nothing left", "disputed", "never paid"],
)
def test_a_refund_that_stripe_refuses_fails_with_its_reason_and_is_told(
    hands: Hands, method: str, first: int | None, terms: Json, code: str
) -> None:
    payment = pay(hands, method)
    if first:
        refund(hands, payment, amount=first)
        hands.work()
    before = at_stripe(hands, payment)
    job = refund(hands, payment, **terms).get_json()["refund_request_id"]
    hands.work()

    refusal = refund_details(hands, job)
    assert (refusal["status"], refusal["failure_reason"]) == ("failed", code)
    assert refusal["refund_id"] is None
    (bodies,) = [item for item in hands.notifications() if item["type"] == "refund.failed"]
    assert bodies["body"]["data"]["payment_intent_id"] == payment
    assert bodies["body"]["data"]["failure_code"] == code
    assert at_stripe(hands, payment) == before


def test_a_refund_of_an_unknown_payment_fails(hands: Hands) -> None:
    job = refund(hands, "pi_3nobodyknowsthis").get_json()["refund_request_id"]
    hands.work()
    assert refund_details(hands, job)["failure_reason"] == "resource_missing"
    assert hands.notified_types() == ["refund.failed"]


def test_a_pending_refund_succeeds_later(hands: Hands) -> None:
    payment = pay(hands, "pm_card_pendingRefund")
    job = refund(hands, payment).get_json()["refund_request_id"]
    hands.work()
    assert refund_details(hands, job)["status"] == "pending"
    assert verified(hands, job) == (False, "pending")

    hands.deliver_events()
    hands.work()
    wait_for_stripe(hands)
    hands.deliver_events()
    hands.work()
    assert hands.notified_types() == ["payment.succeeded", "refund.pending", "refund.succeeded"]
    assert verified(hands, job) == (True, "succeeded")


@pytest.mark.parametrize(
    ("method", "states"),
    [
        ("pm_card_pendingRefund", ["pending", "refunded"]),
        ("pm_card_refundFail", ["refunded", "failed"]),
    ],
)
def test_operators_see_what_became_of_a_refund_after_its_job(
    hands: Hands, method: str, states: list[str]
) -> None:
    payment = pay(hands, method)
    job = refund(hands, payment).get_json()["refund_request_id"]
    hands.work()
    early = listed_status(hands, job)
    hands.deliver_events()
    hands.work()
    wait_for_stripe(hands)
    hands.deliver_events()
    hands.work()
    assert [early, listed_status(hands, job)] == states
    matches = hands.client.get(f"/ops/refunds?status={states[1]}").get_json()["data"]
    assert [row["id"] for row in matches] == [job]
    assert hands.client.get(f"/ops/refunds?status={states[0]}").get_json()["data"] == []


def listed_status(hands: Hands, job: str) -> str:
    (row,) = hands.client.get("/ops/refunds").get_json()["data"]
    assert row["id"] == job
    return str(row["status"])


def test_a_refund_may_fail_after_it_succeeded_and_that_is_news(hands: Hands) -> None:
    payment = pay(hands, "pm_card_refundFail")
    job = refund(hands, payment, amount=400).get_json()["refund_request_id"]
    hands.work()
    assert verified(hands, job) == (True, "succeeded")

    hands.deliver_events()
    hands.work()
    wait_for_stripe(hands)
    hands.deliver_events()
    hands.work()
    assert hands.notified_types() == ["payment.succeeded", "refund.succeeded", "refund.failed"]
    assert verified(hands, job) == (False, "failed")
    failed = refund_details(hands, job)
    assert failed["failure_reason"] == "expired_or_canceled_card"
    story = hands.client.get(f"/api/payment/{payment}").get_json()
    assert story["amount_refunded"] == 0


def verified(hands: Hands, refund_id: str) -> tuple[bool, str]:
    body = hands.client.post("/api/refund/verify", json={"refund_id": refund_id}).get_json()
    return body["verified"], body["status"]


def test_whoever_prefers_to_wait_gets_the_refund(hands: Hands, payment: str) -> None:
    answers: list[TestResponse] = []

    def ask() -> None:
        body = {"payment_intent_id": payment, "amount": 250}
        headers = {"Prefer": "wait=20"}
        answers.append(hands.client.post("/api/refund/process", json=body, headers=headers))

    asking = Thread(target=ask)
    asking.start()
    while asking.is_alive():
        hands.ring()
        asking.join(0.02)
    (answer,) = answers
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["amount"]) == (200, "succeeded", 250)
    assert answer.headers["Preference-Applied"] == "wait=20"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ("WAIT=10", 10),
        ('wait="10"', 10),
        ("respond-async, wait=10", 10),
        ("wait=5; why=x", 5),
        ("wait=99999999999999999999", 30),
        ("wait=0", 0),
        ("wait=3, wait=9", 3),
        ("wait=abc, wait=9", 0),
        ("wait = 4", 4),
        ("wait=abc", 0),
        ("wait=-1", 0),
        ("wait", 0),
        ("return=representation; wait=10", 0),
        ('foo="wait=5"', 0),
        ("", 0),
    ],
)
def test_a_preference_is_read_as_the_rfc_writes_it(prefer: str, seconds: int) -> None:
    assert wait_seconds(prefer) == seconds


def test_a_refund_is_the_same_by_whichever_name_it_is_asked_for(hands: Hands, payment: str) -> None:
    body = {"payment_intent_id": payment, "amount": 250}
    queued = hands.client.post("/api/refund/process", json=body).get_json()
    assert (queued["status"], queued["attempts"]) == ("queued", 0)
    assert queued["created"] is not None
    hands.work()
    ours = hands.client.get(f"/api/refund/{queued['refund_request_id']}").get_json()
    assert (ours["attempts"], ours["refund_request_id"]) == (1, queued["refund_request_id"])
    assert hands.client.get(f"/api/refund/{ours['refund_id']}").get_json() == ours
    (listing,) = hands.client.get(f"/api/payment/{payment}").get_json()["refunds"]
    assert listing == ours


def test_whoever_waited_in_vain_gets_a_place_to_look(hands: Hands, payment: str) -> None:
    body = {"payment_intent_id": payment}
    answer = hands.client.post("/api/refund/process", json=body, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.get_json()["status"]) == (202, "queued")
    hands.work()
    assert hands.client.get(answer.headers["Location"]).get_json()["status"] == "succeeded"


def test_ten_requests_with_one_key_make_one_refund(hands: Hands, payment: str) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda _: refund(hands, payment, key="same", amount=100), range(10))
        )
    assert {answer.status_code for answer in answers} <= {202, 409}
    jobs = {a.get_json()["refund_request_id"] for a in answers if a.status_code == 202}
    hands.work()
    assert len(jobs) == 1
    assert at_stripe(hands, payment) == [100]


def test_ten_payments_with_one_key_make_one_charge(hands: Hands) -> None:
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}

    def pay(_: int) -> TestResponse:
        headers = {"Idempotency-Key": "one"}
        return hands.client.post("/api/payment/process", json=body, headers=headers)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(pay, range(10)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    paid_intents = {a.get_json()["payment_intent_id"] for a in answers if a.status_code == 200}
    charged = [e for e in hands.events() if e["type"] == "charge.succeeded"]
    assert (len(paid_intents), len(charged)) == (1, 1)


def test_a_refund_that_is_heard_by_its_charge_alone_is_told(hands: Hands) -> None:
    payment = pay(hands)
    for amount in (300, 700):
        refund(hands, payment, amount=amount)
        hands.work()
    hands.deliver_events("charge.refunded")
    hands.work()
    assert hands.notified_types() == ["payment.succeeded", "refund.succeeded", "refund.succeeded"]


def test_a_refund_for_which_there_is_no_room_is_refused_and_accepted_later(
    hands: Hands, payment: str, real_store: Store
) -> None:
    hands.client = open_door(make_settings(max_waiting_refunds=1), real_store)
    assert refund(hands, payment, "one", amount=100).status_code == 202
    refusal = refund(hands, payment, "two", amount=200)
    assert (refusal.status_code, refusal.get_json()["code"]) == (503, "too_many_waiting")
    assert int(refusal.headers["Retry-After"]) >= 1
    hands.work()
    assert at_stripe(hands, payment) == [100]
    assert refund(hands, payment, "two", amount=200).status_code == 202
    hands.work()
    assert at_stripe(hands, payment) == [100, 200]
