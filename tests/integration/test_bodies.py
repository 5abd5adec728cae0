"""Request bodies: an invalid one is refused with a reason, and is not stored or repeated."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.integration.hands import Hands

BODY = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
POSTS = (
    "/api/payment/process",
    "/api/payment/verify",
    "/api/refund/process",
    "/api/refund/verify",
    "/ops/reconcile",
    "/ops/dead-letters/redrive",
)
DIGITS = "4242424242424242"
NUMBERS = [
    DIGITS,
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "4242.4242.4242.4242",
    "4242_4242_4242_4242",
    "4242/4242/4242/4242",
    "4242\u00a04242\u00a04242\u00a04242",
    "4242  4242  4242  4242",
    "".join(chr(0xFF10 + int(digit)) for digit in DIGITS),
    "3782 822463 10005",
    "3782.822463.10005",
    "card 4242 4242 4242 4242, thank you",
    "4242424242424242 12/34 123",
    "Visa4242424242424242EUR",
    "4242424242424242-12/34-123",
]


def refusal_of(client: FlaskClient, body: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = client.post("/api/payment/process", data=text, content_type="application/json")
    problem: dict[str, Any] = answer.get_json()
    assert (answer.status_code, problem["code"]) == (400, "raw_card_data_refused"), problem
    # The id is random, and holds four given digits once in three thousand times.
    page_text = answer.get_data(as_text=True).replace(problem["request_id"], "")
    assert "4242" not in page_text
    assert "822463" not in page_text
    return problem


@pytest.mark.parametrize("number", NUMBERS)
def test_a_card_number_is_refused_wherever_it_stands(client: FlaskClient, number: str) -> None:
    assert refusal_of(client, BODY | {"description": number})["param"] == "description"
    assert refusal_of(client, BODY | {"metadata": {"note": number}})["param"] == "metadata.note"
    assert refusal_of(client, BODY | {"metadata": {number: "x"}})["param"] == "metadata"
    assert refusal_of(client, BODY | {number: 1})["param"] == "body"


def test_what_parsing_would_drop_is_looked_at_too(client: FlaskClient) -> None:
    twice = json.dumps(BODY)[:-1] + f', "description": "{DIGITS}", "description": "x"}}'
    assert refusal_of(client, twice)["param"] == "body"


@pytest.mark.parametrize(
    "fields",
    [{"payment_method": f"pm_{DIGITS}"}, {"more": float(DIGITS)}, {"more": [int(DIGITS)]}],
)
def test_a_card_number_is_refused_in_disguise(
    client: FlaskClient, fields: dict[str, object]
) -> None:
    refusal_of(client, BODY | fields)


@pytest.mark.parametrize("name", ["cvc", "CVV", "security_code"])
def test_a_cards_code_is_refused_in_metadata_too(client: FlaskClient, name: str) -> None:
    assert refusal_of(client, BODY | {"metadata": {name: "123"}})["param"] == f"metadata.{name}"


@pytest.mark.parametrize("number", [DIGITS, "2223003122003222", "378282246310005"])
def test_a_card_number_beside_the_body_is_refused(client: FlaskClient, number: str) -> None:
    bodies = [
        client.get(f"/api/payment/pi_{number}"),
        client.get(f"/api/refund/re_{number}"),
        client.get(f"/ops/items/evt_{number}"),
        client.get(f"/ops/events?error={number}"),
        client.post("/api/payment/process", json=BODY, headers={"Idempotency-Key": number}),
        client.post("/ops/reconcile", json={"by": number, "reason": "x"}),
        client.post("/ops/reconcile", json={"by": "x", "reason": f"card {number}"}),
    ]
    for answer in bodies:
        assert answer.get_json()["code"] == "raw_card_data_refused"
        assert answer.status_code == 400
        assert number not in answer.get_data(as_text=True)


def test_a_card_number_is_no_request_id(client: FlaskClient) -> None:
    answer = client.get("/health", headers={"X-Request-Id": f"pan-{DIGITS}"})
    assert answer.headers["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize(
    "text",
    [
        "5.10.2026/6.10.2026, 19:30",
        "order 4000-12-31-0001",
        "+65 6123 4567, +65 6123 4568",
        "evt_3Q4242424242xR4242424242",
        "seats 4001, 4002, 4003, 4004",
        "4111111111111112",
    ],
)
def test_an_ordinary_text_is_not_taken_for_a_card(hands: Hands, text: str) -> None:
    answer = hands.pay(description=text, metadata={"note": text})
    assert answer.status_code == 200, answer.get_json()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000])
def test_a_body_nested_too_deeply_is_no_fault_of_ours(
    client: FlaskClient, path: str, text: str
) -> None:
    answer = client.post(path, data=text, content_type="application/json")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("path", ["/api/payment/process", "/api/refund/process"])
@pytest.mark.parametrize("metadata", [{"k": "\ud800"}, {"\ud800": "v"}])
def test_half_a_character_is_refused(
    client: FlaskClient, path: str, metadata: dict[str, str]
) -> None:
    body = BODY if "payment" in path else {"payment_intent_id": "pi_1"}
    answer = client.post(path, json=body | {"metadata": metadata})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_json")
    assert answer.get_json()["param"].startswith("metadata")


def test_an_event_with_half_a_character_is_processed(hands: Hands) -> None:
    hands.pay(metadata={"note": "whole"})
    (event,) = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    event["data"]["object"]["metadata"]["note"] = "\ud800"
    assert hands.post_event(json.dumps(event)).status_code == 200
    hands.work()
    (notification,) = hands.notifications()
    assert notification["signature"] == "valid"
    assert hands.client.get(f"/ops/items/{event['id']}").get_json()["state"] == "processed"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('{"amount": 1, "amount": 1000}', 400),
        ('{"metadata": {"seat": "A1", "seat": "A2"}}', 400),
        ('{"amount": NaN}', 400),
        ('{"a": ' + "[" * 11 + "]" * 11 + "}", 400),
        (json.dumps({"more": [1] * 2_000}), 400),
        (json.dumps({f"more{number}": 1 for number in range(105_000)}), 413),
        (json.dumps({f"m{number}": 1 for number in range(20_000)}), 400),
        (
            json.dumps({"metadata": {"note": "a" + "\u0315\u0300" * 50_000}}, ensure_ascii=False),
            422,
        ),
        (json.dumps({"description": "x" * 5_000}), 422),
        (json.dumps({"x" * 5_000: 1}), 422),
    ],
)
def test_a_body_that_costs_more_than_it_says_is_refused_at_once(
    client: FlaskClient, path: str, text: str, status: int
) -> None:
    began = time.process_time()
    answer = client.post(path, data=text.encode(), content_type="application/json")
    assert answer.status_code == status, answer.get_json()
    assert len(answer.get_data()) < 10_000
    assert time.process_time() - began < 1


def test_an_answer_names_no_more_errors_than_a_person_corrects(client: FlaskClient) -> None:
    answer = client.post("/api/payment/process", json={f"m{number}": 1 for number in range(500)})
    assert answer.status_code == 422
    assert len(answer.get_json()["errors"]) == 20


def test_the_largest_metadata_that_stripe_takes_is_no_such_body(hands: Hands) -> None:
    metadata = {f"key-{number}": "\U0001f39f" * 500 for number in range(50)}
    answer = hands.pay(metadata=metadata)
    assert answer.status_code == 200, answer.get_json()


@pytest.mark.parametrize("path", ["/api/payment/process", "/api/webhook"])
def test_a_long_body_in_chunks_is_too_large(client: FlaskClient, path: str) -> None:
    answer = client.post(
        path,
        input_stream=io.BytesIO(json.dumps(BODY | {"description": "x" * 1_100_000}).encode()),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_a_body_in_another_encoding_is_refused(client: FlaskClient, encoding: str) -> None:
    text = json.dumps(BODY | {"description": "caf\u00e9"}, ensure_ascii=False).encode(encoding)
    answer = client.post("/api/payment/process", data=text, content_type="application/json")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_json")


def test_a_compressed_body_is_refused_by_its_name(client: FlaskClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = client.post("/api/payment/process", json=BODY, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/payment/process", BODY, 200),
        ("/api/refund/process", {"payment_intent_id": "pi_none"}, 202),
        ("/api/refund/batches", {"event_id": "none", "dry_run": True}, 200),
    ],
)
def test_metadata_may_be_null(client: FlaskClient, path: str, body: Any, status: int) -> None:
    answer = client.post(path, json=body | {"metadata": None})
    assert answer.status_code == status, answer.get_json()
