from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.client import Answer, Api
from tests.contract.diary import Diary
from tests.contract.purchases import pay, try_to_pay

# Requests at once, as of impatient clients; each gets its own connection.
AT_ONCE = 20
FORM = {"amount": 2000, "currency": "usd"}


@pytest.fixture
def key() -> str:
    return "contract-" + secrets.token_hex(12)


def test_a_replay_gives_the_same_answer_and_says_so(api: Api, key: str) -> None:
    first = api.post("/v1/payment_intents", FORM, Idempotency_Key=key)
    again = api.post("/v1/payment_intents", FORM, Idempotency_Key=key)
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Idempotency-Key"] == key
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Request-Id"] != first.headers["Request-Id"]


def test_a_replay_makes_no_second_event(api: Api, diary: Diary, key: str) -> None:
    for _ in range(3):
        answer = try_to_pay(api, "pm_card_visa", amount=500)
        replay = api.post(
            "/v1/refunds", {"payment_intent": answer.body["id"]}, Idempotency_Key=key + "r"
        )
        again = api.post(
            "/v1/refunds", {"payment_intent": answer.body["id"]}, Idempotency_Key=key + "r"
        )
        assert replay.body == again.body
        key = secrets.token_hex(8)
        refunded = [t for t in diary.types(answer.body["id"]) if t == "charge.refunded"]
        assert len(refunded) == 1


def test_a_decline_is_replayed_too(api: Api, key: str) -> None:
    form = FORM | {
        "confirm": "true",
        "payment_method": "pm_card_chargeDeclined",
        "payment_method_types[]": "card",
    }
    first = api.post("/v1/payment_intents", form, Idempotency_Key=key)
    again = api.post("/v1/payment_intents", form, Idempotency_Key=key)
    assert (first.status, again.status) == (402, 402)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.error["payment_intent"]["id"] == first.error["payment_intent"]["id"]


def test_a_404_is_replayed_too(api: Api, key: str) -> None:
    for replayed in (None, "true"):
        answer = api.post("/v1/refunds", {"charge": "ch_nope"}, Idempotency_Key=key)
        assert answer.status == 404
        assert answer.headers.get("Idempotent-Replayed") == replayed


def test_a_validation_error_leaves_the_key_free(api: Api, key: str) -> None:
    wrong = api.post("/v1/payment_intents", {"currency": "usd"}, Idempotency_Key=key)
    assert wrong.status == 400
    right = api.post("/v1/payment_intents", FORM, Idempotency_Key=key)
    assert right.status == 200
    assert "Idempotent-Replayed" not in right.headers


def test_other_parameters_under_the_same_key_are_refused(api: Api, key: str) -> None:
    api.make("/v1/payment_intents", FORM, Idempotency_Key=key)
    answer = api.post("/v1/payment_intents", FORM | {"amount": 2001}, Idempotency_Key=key)
    assert (answer.status, answer.error["type"]) == (400, "idempotency_error")
    assert "code" not in answer.error
    assert answer.error["message"].startswith(
        "Keys for idempotent requests can only be used with the same parameters "
        "they were first used with."
    )
    assert key in answer.error["message"]


def test_another_endpoint_under_the_same_key_is_refused(api: Api, key: str) -> None:
    intent = api.make("/v1/payment_intents", FORM, Idempotency_Key=key)
    answer = api.post(f"/v1/payment_intents/{intent['id']}/cancel", Idempotency_Key=key)
    assert (answer.status, answer.error["type"]) == (400, "idempotency_error")


def test_the_order_of_parameters_does_not_matter(api: Api, key: str) -> None:
    pairs = [("amount", "700"), ("currency", "usd"), ("metadata[a]", "1"), ("metadata[b]", "2")]
    first = api.make("/v1/payment_intents", pairs, Idempotency_Key=key)
    again = api.post("/v1/payment_intents", pairs[::-1], Idempotency_Key=key)
    assert again.body["id"] == first["id"]


def test_the_order_inside_an_array_does_matter(api: Api, key: str) -> None:
    pairs = [("amount", "700"), ("currency", "eur"), ("payment_method_types[]", "card")]
    api.make(
        "/v1/payment_intents",
        [*pairs, ("payment_method_types[]", "sepa_debit")],
        Idempotency_Key=key,
    )
    swapped = [*pairs[:2], ("payment_method_types[]", "sepa_debit"), pairs[2]]
    assert api.post("/v1/payment_intents", swapped, Idempotency_Key=key).status == 400


@pytest.mark.parametrize("bad", ["", "x" * 256], ids=["empty", "too long"])
def test_a_key_has_1_to_255_characters(api: Api, bad: str) -> None:
    assert api.post("/v1/payment_intents", FORM, Idempotency_Key=bad).status == 400


def test_get_takes_no_notice_of_the_key(api: Api, key: str) -> None:
    intent = pay(api)
    for path in (f"/v1/payment_intents/{intent['id']}", "/v1/refunds"):
        answer = api.get(path, None, Idempotency_Key=key)
        assert answer.status == 200
        assert "Idempotent-Replayed" not in answer.headers


def test_parallel_posts_with_one_key_make_one_object(api: Api, key: str) -> None:
    form = FORM | {"description": key}

    def post(_: int) -> Answer:
        own = Api(api.base_url, None)
        own._session.headers = api._session.headers
        return own.post("/v1/payment_intents", form, Idempotency_Key=key)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(post, range(AT_ONCE)))
    successes = [a for a in answers if a.status == 200]
    refusals = [a for a in answers if a.status != 200]
    assert len({answer.body["id"] for answer in successes}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in successes) == 1
    for answer in refusals:
        assert (answer.status, answer.error["code"]) == (409, "idempotency_key_in_use")
        assert answer.error["type"] == "invalid_request_error"
        assert answer.error["message"].startswith(
            "There is currently another in-progress request using this Idempotent Key"
        )
    listing = api.find("/v1/payment_intents", {"limit": 100})["data"]
    assert [i["description"] for i in listing].count(key) == 1


def test_parallel_refunds_without_a_key_never_exceed_the_charge(api: Api) -> None:
    intent = pay(api, amount=1000)

    def refund(_: int) -> int:
        own = Api(api.base_url, None)
        own._session.headers = api._session.headers
        form = {"payment_intent": intent["id"], "amount": 300}
        return own.post("/v1/refunds", form).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(refund, range(8)))
    charge = api.find(f"/v1/charges/{intent['latest_charge']}")
    assert charge["amount_refunded"] == 300 * statuses.count(200)
    assert charge["amount_refunded"] <= 1000
