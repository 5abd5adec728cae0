"""`Idempotency-Key`: a repeated request gets the same answer and moves no money."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api.idempotency import IdempotencyKeys, IdempotentRequest, idempotent_request
from shared.errors import CallerError, Unavailable
from shared.store.scripts import Store
from tests.conftest import make_settings
from tests.integration.hands import Hands

PAYMENT = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}


def pay(hands: Hands, key: str, **changes: Any) -> TestResponse:
    body, headers = PAYMENT | changes, {"Idempotency-Key": key}
    return hands.client.post("/api/payment/process", json=body, headers=headers)


def charges(hands: Hands) -> int:
    return sum(event["type"] == "charge.succeeded" for event in hands.events())


def test_the_same_key_and_body_give_the_same_answer(hands: Hands) -> None:
    first, second = pay(hands, "order 1"), pay(hands, "order 1")
    assert second.get_data() == first.get_data()
    assert (first.status_code, second.status_code) == (200, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert charges(hands) == 1


def test_the_order_of_fields_makes_no_other_body(hands: Hands) -> None:
    pay(hands, "k")
    turned = dict(reversed(list(PAYMENT.items())))
    again = hands.client.post("/api/payment/process", json=turned, headers={"Idempotency-Key": "k"})
    assert again.headers["Idempotent-Replayed"] == "true"


def test_another_body_under_the_key_is_refused(hands: Hands) -> None:
    pay(hands, "k")
    answer = pay(hands, "k", amount=2000)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_reused")
    assert charges(hands) == 1


def test_a_decline_is_given_again(hands: Hands) -> None:
    method = "pm_card_chargeDeclined"
    first, second = (pay(hands, "k", payment_method=method) for _ in range(2))
    assert (first.status_code, second.status_code) == (402, 402)
    assert second.mimetype == "application/problem+json"
    assert second.get_json() == first.get_json()
    assert [event["type"] for event in hands.events()].count("charge.failed") == 1


def test_a_refusal_frees_the_key(hands: Hands) -> None:
    assert pay(hands, "k", payment_method="pm_unknown").status_code == 400
    assert pay(hands, "k", payment_method="pm_unknown").status_code == 400


def test_without_a_key_one_is_made_and_returned(hands: Hands) -> None:
    first = hands.client.post("/api/payment/process", json=PAYMENT)
    again = pay(hands, first.headers["Idempotency-Key"])
    assert again.get_json() == first.get_json()
    assert charges(hands) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve"])
def test_a_key_that_is_none_is_refused(hands: Hands, key: str) -> None:
    assert pay(hands, key).status_code == 422
    assert charges(hands) == 0


def test_ten_at_once_charge_once(hands: Hands) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: pay(hands, "k"), range(10)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 409}
    assert len({a.get_json()["payment_intent_id"] for a in answers if a.status_code == 200}) == 1
    assert all(int(a.headers["Retry-After"]) > 0 for a in answers if a.status_code == 409)
    assert charges(hands) == 1


def test_a_crash_after_stripes_answer_leads_to_the_first_payment(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IdempotencyKeys, "conclude", lambda *_: None)
    first = pay(hands, "k")
    monkeypatch.undo()
    running = pay(hands, "k")
    assert (running.status_code, running.get_json()["code"]) == (409, "idempotency_key_in_use")
    monkeypatch.setattr("api.idempotency.LEASE_MS", 0)
    hands.runtime.store.redis.hset(_only_record(hands), "lease_until", 1)
    again = pay(hands, "k")
    assert again.get_json()["payment_intent_id"] == first.get_json()["payment_intent_id"]
    assert charges(hands) == 1


def test_an_answer_that_cannot_be_stored_is_given_and_a_repeat_charges_no_more(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise Unavailable("Redis did not answer.")

    monkeypatch.setattr(IdempotencyKeys, "conclude", fail)
    first = pay(hands, "k")
    assert (first.status_code, first.get_json()["status"]) == (200, "succeeded")
    hands.runtime.store.redis.hset(_only_record(hands), "lease_until", 1)
    again = pay(hands, "k")
    assert "Idempotent-Replayed" not in again.headers
    assert again.get_json()["payment_intent_id"] == first.get_json()["payment_intent_id"]
    assert charges(hands) == 1


def test_a_key_of_one_route_is_free_on_another(hands: Hands) -> None:
    payment = pay(hands, "k").get_json()["payment_intent_id"]
    path, headers = f"/api/payment/{payment}/cancel", {"Idempotency-Key": "k"}
    answer = hands.client.post(path, json={}, headers=headers)
    assert answer.get_json()["code"] == "payment_not_cancelable"


def _only_record(hands: Hands) -> str:
    (key_name,) = hands.runtime.store.redis.keys("{billing}:idempotency:*")
    return str(key_name)


def request_of(key: str = "k", body: dict[str, Any] | None = None) -> IdempotentRequest:
    return idempotent_request("caller:/route:", key, body or {"a": 1})


def test_keys_of_other_callers_and_routes_are_other_keys() -> None:
    one = idempotent_request("caller:/route:", "k", {})
    other = idempotent_request("other:/route:", "k", {})
    assert one.digest != other.digest
    assert one.stripe_key != other.stripe_key


def test_an_unfinished_request_of_yesterday_is_refused_rather_than_risked(store: Store) -> None:
    keys = IdempotencyKeys(store, make_settings())
    assert keys.begin(request_of()) is None
    long_ago = store.now_ms() - 24 * 3600 * 1000
    store.redis.hset(
        store.keys.idempotency(request_of().digest),
        mapping={"begun_at": long_ago, "lease_until": 1},
    )
    with pytest.raises(CallerError, match="idempotency_key_expired"):
        keys.begin(request_of())
