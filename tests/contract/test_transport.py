from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.contract.client import Api

if TYPE_CHECKING:
    from tests.contract.side import Side
    from tests.contract.witness import Witness


def test_basic_authentication_takes_the_key_as_user_name(api: Api, side: Side) -> None:
    basic = base64.b64encode(f"{side.key}:".encode()).decode()
    answer = Api(api.base_url, None).get("/v1/events", Authorization=f"Basic {basic}")
    assert answer.status == 200


def test_no_key_is_refused(api: Api) -> None:
    answer = Api(api.base_url, None).get("/v1/payment_intents")
    assert answer.status == 401
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"].startswith("You did not provide an API key.")


def test_a_wrong_key_is_refused_and_masked(api: Api) -> None:
    answer = Api(api.base_url, "sk_nonsense_abcdefghijkl").get("/v1/payment_intents")
    assert answer.status == 401
    assert answer.error["message"].startswith("Invalid API Key provided: sk_nonse")
    assert "abcdefgh" not in answer.error["message"]


@pytest.mark.fake_only(reason="nobody shows a live key to find out what happens")
def test_a_live_key_is_refused(api: Api) -> None:
    for prefix in ("sk_live_", "rk_live_"):
        key = prefix + "abcdefghijklmnop"
        answer = Api(api.base_url, key).post("/v1/payment_intents", {"amount": 100})
        assert answer.status == 401
        assert key not in answer.error["message"]


def test_unknown_url_is_404(api: Api) -> None:
    answer = api.get("/v1/nonsense")
    assert answer.status == 404
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"].startswith("Unrecognized request URL (GET: /v1/nonsense).")


@pytest.mark.parametrize(
    "form",
    [
        {"payment_method_types[]": "card", "metadata[a]": "b", "expand[]": "customer"},
        {"payment_method_types[0]": "card", "metadata[a]": "b", "expand[0]": "customer"},
        [("payment_method_types[]", "card"), ("metadata[a]", "b"), ("expand[0]", "customer")],
    ],
    ids=["brackets", "indexes", "mixed"],
)
def test_forms_are_read_however_arrays_are_written(api: Api, form: object) -> None:
    pairs = list(form.items()) if isinstance(form, dict) else list(form)
    intent = api.make("/v1/payment_intents", [("amount", 500), ("currency", "usd"), *pairs])
    assert intent["payment_method_types"] == ["card"]
    assert intent["metadata"] == {"a": "b"}


def test_nested_maps_arrive_whole(api: Api) -> None:
    intent = api.make(
        "/v1/payment_intents",
        {
            "amount": 500,
            "currency": "usd",
            "shipping[name]": "Jenny Rosen",
            "shipping[address][line1]": "510 Townsend St",
            "shipping[address][postal_code]": "94103",
        },
    )
    assert intent["shipping"]["name"] == "Jenny Rosen"
    assert intent["shipping"]["address"]["line1"] == "510 Townsend St"
    assert intent["shipping"]["address"]["country"] is None


def test_every_answer_has_its_own_request_id(api: Api) -> None:
    first, second = api.get("/v1/events"), api.get("/v1/nonsense")
    assert first.headers["Request-Id"].startswith("req_")
    assert first.headers["Request-Id"] != second.headers["Request-Id"]


def test_an_event_names_the_request_that_caused_it(api: Api, witness: Witness) -> None:
    answer = api.post(
        "/v1/payment_intents",
        {"amount": 500, "currency": "usd"},
        Idempotency_Key="ask-" + secrets.token_hex(8),
    )
    events = api.find("/v1/events", {"type": "payment_intent.created", "limit": 20})["data"]
    mine = next(e for e in events if e["data"]["object"]["id"] == answer.body["id"])
    assert mine["request"]["id"] == answer.headers["Request-Id"]
    assert mine["request"]["idempotency_key"] == answer.headers["Idempotency-Key"]


def test_unicode_survives(api: Api) -> None:
    text = "Zwölf Boxkämpfer 🥊 <b>&amp;"
    intent = api.make(
        "/v1/payment_intents",
        {"amount": 500, "currency": "usd", "description": text, "metadata[ключ]": text},
    )
    again = api.find(f"/v1/payment_intents/{intent['id']}")
    assert again["description"] == text
    assert again["metadata"] == {"ключ": text}
