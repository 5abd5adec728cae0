"""Access: keys, roles, and routes that need no key."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.store.scripts import Store
from tests.conftest import make_settings
from tests.integration.doors import open_door

CALLER, OTHER, OPERATOR = "caller-key-1", "caller-key-2", "operator-key"


@pytest.fixture
def closed(real_store: Store) -> FlaskClient:
    """Build a service with two caller keys and an operator's key."""
    keys = {"api_keys": f"{CALLER},{OTHER}", "operator_keys": OPERATOR}
    return open_door(make_settings(**keys), real_store)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


MONEY = [
    ("post", "/api/payment/process"),
    ("post", "/api/payment/verify"),
    ("get", "/api/payment/pi_1"),
    ("post", "/api/refund/process"),
    ("post", "/api/refund/verify"),
    ("get", "/api/refund/re_1"),
    ("get", "/api/refund/rr_1"),
]


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "Bearer   {}"])
def test_a_key_is_known_in_every_form_of_the_header(closed: FlaskClient, form: str) -> None:
    headers = {"Authorization": form.format(CALLER)}
    assert closed.get("/api/refund/rr_1", headers=headers).status_code == 404
    headers = {"Authorization": form.format(OPERATOR)}
    assert closed.get("/api/refund/batches/rb_1", headers=headers).status_code == 404


@pytest.mark.parametrize(("method", "path"), MONEY)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("wrong"),
        bearer(""),
        bearer(OPERATOR),
        {"Authorization": CALLER},
        {"Authorization": f"Basic {CALLER}"},
        {"Authorization": f"Bearer {CALLER[:-1]}"},
        {"Authorization": "Bearer ключ"},
    ],
)
def test_without_a_callers_key_nothing_is_told(
    closed: FlaskClient, method: str, path: str, headers: dict[str, Any]
) -> None:
    answer = getattr(closed, method)(path, headers=headers, json={} if method == "post" else None)
    assert answer.status_code == 401
    assert answer.get_json()["code"] == "unauthorized"


@pytest.mark.parametrize("key", [CALLER, OTHER])
def test_each_key_opens_while_keys_are_rotated(closed: FlaskClient, key: str) -> None:
    answer = closed.post("/api/payment/process", headers=bearer(key), json={})
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/docs", "/openapi.json"])
def test_health_and_the_contract_are_open(closed: FlaskClient, path: str) -> None:
    assert closed.get(path, buffered=True).status_code == 200


def test_the_webhook_is_guarded_by_its_signature_alone(closed: FlaskClient) -> None:
    answer = closed.post("/api/webhook", data="{}", headers=bearer(CALLER))
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_signature")


def test_every_answer_carries_the_headers_that_protect(closed: FlaskClient) -> None:
    for answer in (closed.get("/health"), closed.get("/nowhere")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"


def test_whoever_has_no_key_is_told_the_scheme(closed: FlaskClient) -> None:
    for headers in ({}, bearer("wrong")):
        answer = closed.get("/api/payment/pi_1", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_health_is_said_in_the_promised_bytes(closed: FlaskClient) -> None:
    answer = closed.get("/health")
    assert answer.get_data() == b'{"status": "healthy", "service": "billing-service"}'
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("path", ["/api//payment/process", "//health", "/health//ready"])
def test_a_path_with_a_slash_too_many_is_not_found(closed: FlaskClient, path: str) -> None:
    answer = closed.get(f"http://localhost{path}")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_a_request_id_comes_back_unless_it_could_forge_a_log_line(closed: FlaskClient) -> None:
    good = closed.get("/health", headers={"X-Request-Id": "from-the-caller-1"})
    assert good.headers["X-Request-Id"] == "from-the-caller-1"
    bad = closed.get("/health", headers={"X-Request-Id": 'x" admin="true'})
    assert bad.headers["X-Request-Id"].startswith("req_")
