"""Payments by the API, Stripe's events by the webhook, and the notifications that follow."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import requests

from shared.store.scripts import Call, Store
from tests.integration.hands import Hands

# In the middle of an id or of a time, four given digits are chance; eight are not.
PART_OF_A_CARD = re.compile(r"(?<![\w.])(4242|5555)|(4242|5555)\D?(4242|5555|4444)")


def test_a_card_is_charged_and_the_event_service_is_told_once(hands: Hands) -> None:
    answer = hands.pay(metadata={"event_id": "evening", "user_id": "u1"}, customer_email="a@b.sg")
    hands.deliver_events()
    hands.work()

    body = answer.get_json()
    assert answer.status_code == 200
    assert (body["success"], body["status"], body["amount"]) == (True, "succeeded", 1000)
    assert body["charge_id"].startswith("ch_")
    (notification,) = hands.notifications()
    assert notification["signature"] == "valid"
    data = notification["body"]["data"]
    assert notification["type"] == "payment.succeeded"
    assert data["payment_intent_id"] == body["payment_intent_id"]
    assert (data["event_id"], data["user_id"]) == ("evening", "u1")
    assert data["customer_email"] == "a@b.sg"
    assert notification["body"]["sequence"] == 1


def test_a_card_that_needs_3d_secure_succeeds_after_the_challenge(hands: Hands) -> None:
    body = hands.pay("pm_card_threeDSecure2Required").get_json()
    assert body["requires_action"] is True
    assert body["next_action"]["type"] == "use_stripe_sdk"
    payment = body["payment_intent_id"]
    passed = requests.post(
        f"{hands.sandbox}/_sandbox/payment_intents/{payment}/authenticate",
        json={"outcome": "complete"},
        timeout=5,
    )
    assert passed.ok
    hands.deliver_events()
    hands.work()

    assert hands.notified_types() == ["payment.requires_action", "payment.succeeded"]
    assert [item["body"]["sequence"] for item in hands.notifications()] == [1, 2]


def test_a_return_url_gives_a_redirect(hands: Hands) -> None:
    body = hands.pay("pm_card_threeDSecure2Required", return_url="https://shop.example/done")
    action = body.get_json()["next_action"]
    assert action["redirect_to_url"]["return_url"] == "https://shop.example/done"


def test_a_decline_is_a_402_with_the_reason_and_told_once(hands: Hands) -> None:
    answer = hands.pay("pm_card_chargeDeclinedInsufficientFunds")
    hands.deliver_events()
    hands.work()

    body = answer.get_json()
    assert answer.status_code == 402
    assert answer.mimetype == "application/problem+json"
    assert (body["code"], body["decline_code"]) == ("card_declined", "insufficient_funds")
    (notification,) = hands.notifications()
    assert notification["type"] == "payment.failed"
    assert notification["body"]["data"]["payment_intent_id"] == body["payment_intent_id"]
    assert notification["body"]["data"]["failure_code"] == "insufficient_funds"


def test_the_history_of_a_declined_payment_begins_with_its_decline_code(hands: Hands) -> None:
    answer = hands.pay("pm_card_chargeDeclinedInsufficientFunds")
    payment = answer.get_json()["payment_intent_id"]

    (first, *_) = hands.client.get(f"/api/payment/{payment}").get_json()["timeline"]
    assert (first["kind"], first["outcome"]) == ("payment_requested", "insufficient_funds")
    assert first["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_chargeDeclined"])
def test_the_history_is_written_with_the_answer_in_one_round_trip(
    card: str, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[list[str]] = []
    run = Store.run_each

    def noting(store: Store, calls: Sequence[Call]) -> list[Any]:
        together.append([call.script for call in calls])
        return run(store, calls)

    monkeypatch.setattr(Store, "run_each", noting)
    hands.pay(card)
    assert together == [["note", "conclude"]]


def test_a_payment_tells_its_whole_story(hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()

    story = hands.client.get(f"/api/payment/{payment}").get_json()
    kinds = [entry["kind"] for entry in story["timeline"]]
    assert story["stale"] is False
    assert kinds[0] == "payment_requested"
    assert {"event_received", "event_processed", "notification_staged"} <= set(kinds)
    attempts = [entry for entry in story["timeline"] if entry["kind"] == "delivery_attempt"]
    assert [attempt["outcome"] for attempt in attempts] == ["delivered"]


def test_with_stripe_down_the_last_known_state_is_told_as_stale(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    _break_stripe(hands)

    story = hands.client.get(f"/api/payment/{payment}").get_json()
    assert (story["stale"], story["status"], story["amount"]) == (True, "succeeded", 1000)
    unknown = hands.client.get("/api/payment/pi_nobodyknows")
    assert unknown.status_code == 503
    assert int(unknown.headers["Retry-After"]) > 0


def _break_stripe(hands: Hands) -> None:
    hands.break_stripe(phase="before", kind="error", status=500, times=100)


def test_verify_asks_stripe_and_compares_what_was_expected(hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]

    def verify(**expected: object) -> dict[str, object]:
        body = {"payment_intent_id": payment, **expected}
        answer: dict[str, object] = hands.client.post("/api/payment/verify", json=body).get_json()
        return answer

    assert verify()["verified"] is True
    assert verify(expected_amount=1000, expected_currency="SGD")["verified"] is True
    assert verify(expected_amount=999)["reason"] == "amount_mismatch"
    assert verify(expected_currency="usd")["reason"] == "currency_mismatch"
    pending = hands.pay("pm_card_threeDSecure2Required").get_json()["payment_intent_id"]
    answer = hands.client.post("/api/payment/verify", json={"payment_intent_id": pending})
    assert answer.get_json()["reason"] == "not_succeeded"


def test_stripe_down_is_a_503_that_may_be_retried_with_the_same_key(hands: Hands) -> None:
    _break_stripe(hands)
    answer = hands.pay()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    requests.delete(f"{hands.sandbox}/_sandbox/faults", timeout=5)
    again = hands.client.post(
        "/api/payment/process",
        json={"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"},
        headers={"Idempotency-Key": answer.headers["Idempotency-Key"]},
    )
    assert again.get_json()["status"] == "succeeded"


BAD = [
    ({"amount": 0}, "amount"),
    ({"amount": -5}, "amount"),
    ({"amount": 10.5}, "amount"),
    ({"amount": "1000"}, "amount"),
    ({"amount": True}, "amount"),
    ({"currency": "dollars"}, "currency"),
    ({"payment_method": "4242"}, "payment_method"),
    ({"metadata": {"k" * 41: "v"}}, "metadata"),
    ({"metadata": {str(n): "v" for n in range(51)}}, "metadata"),
    ({"metadata": {"k": "v" * 501}}, "metadata"),
    ({"customer_email": "nobody"}, "customer_email"),
    ({"customer_email": "a@b..sg"}, "customer_email"),
    ({"customer_email": "<a@b.sg>"}, "customer_email"),
    ({"return_url": "https://shop example/done"}, "return_url"),
    ({"return_url": "https://shop.exa\nmple/done"}, "return_url"),
    ({"return_url": "javascript://alert"}, "return_url"),
    ({"surprise": 1}, "surprise"),
]


@pytest.mark.parametrize(("wrong", "field"), BAD)
def test_bad_input_names_the_field_and_reaches_nobody(
    hands: Hands, wrong: dict[str, object], field: str
) -> None:
    answer = (
        hands.pay(**{"method": "pm_card_visa"} | wrong)
        if "payment_method" not in wrong
        else (
            hands.client.post("/api/payment/process", json={"amount": 1, "currency": "sgd"} | wrong)
        )
    )
    assert answer.status_code == 422
    assert answer.get_json()["param"].split(".")[0] == field
    assert hands.events() == []
    assert hands.traces() == []


@pytest.mark.parametrize(
    "card",
    [
        {"payment_method": "4242424242424242"},
        {"description": "card 4242 4242 4242 4242"},
        {"card": {"number": "4242424242424242"}},
        {"metadata": {"note": "5555-5555-5555-4444"}},
        {"description": 4242424242424242},
    ],
)
def test_raw_card_data_is_refused_and_never_logged(
    hands: Hands, card: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"} | card
    answer = hands.client.post("/api/payment/process", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "raw_card_data_refused"
    output = answer.get_data(as_text=True) + "".join(capfd.readouterr())
    assert not PART_OF_A_CARD.search(output)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("get", "/nowhere", {}, 404),
        ("get", "/api/payment/process", {}, 405),
        ("get", "/api/payment/nothing", {}, 404),
        ("get", "/api/refund/%0a", {}, 404),
        ("put", "/api/payment/process", {}, 405),
        ("post", "/api/payment/process", {"data": "a=b"}, 415),
        ("post", "/api/payment/process", {"data": "{", "content_type": "application/json"}, 400),
        ("post", "/api/payment/process", {"data": "[]", "content_type": "application/json"}, 400),
        ("post", "/api/webhook", {"data": b"x" * 1_100_000}, 413),
    ],
)
def test_every_refusal_is_a_problem_document(
    hands: Hands, method: str, path: str, options: dict[str, object], status: int
) -> None:
    answer = getattr(hands.client, method)(path, **options)
    body = answer.get_json()
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert body["status"] == status
    assert {"type", "title", "detail", "code", "request_id"} <= set(body)
    assert answer.headers["X-Request-Id"] == body["request_id"]


def test_a_declined_payment_is_found_by_its_request(hands: Hands) -> None:
    answer = hands.pay("pm_card_visa_chargeDeclined")
    payment = hands.runtime.payments.payment_of_request(answer.headers["X-Request-Id"])
    assert payment == answer.get_json()["payment_intent_id"]
