"""Named callers: what each may do, and the rotation of a key in the middle of a payment."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.errors import Misconfigured, Unavailable
from shared.settings import Settings, load_settings
from shared.store.scripts import Store
from shared.work.refund_jobs import RefundJobs
from tests.conftest import make_settings
from tests.integration import batching
from tests.integration.doors import application
from tests.integration.hands import Hands

KEYS = (
    "shop:old-shop-key,shop:new-shop-key,kiosk:kiosk-key,seller:seller-key,"
    "report:report-key,bare-1,bare-2"
)
LIMITS = {
    "seller": {"accounts": ["acct_1Seller"]},
    "kiosk": {"accounts": ["own"], "refunds_per_hour": {"sgd": 500}},
    "report": {"read_only": True},
}
PAY = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}


@pytest.fixture
def door(settings: Settings, real_store: Store) -> FlaskClient:
    """Build the API with named callers, some of them limited."""
    own_settings = make_settings(
        api_keys=KEYS, operator_keys="kim:kims-key,bare", caller_limits=LIMITS
    )
    names = ("api_keys", "operator_keys", "caller_limits")
    changes = {name: getattr(own_settings, name) for name in names}
    return application(settings.model_copy(update=changes), real_store).test_client()


def post(door: FlaskClient, path: str, key: str, body: Any, **headers: str) -> TestResponse:
    all_headers = {"Authorization": f"Bearer {key}"} | {
        n.replace("_", "-"): v for n, v in headers.items()
    }
    return door.post(path, json=body, headers=all_headers)


def pay_with_old_key(door: FlaskClient) -> str:
    answer = post(door, "/api/payment/process", "old-shop-key", PAY)
    return str(answer.get_json()["payment_intent_id"])


@pytest.mark.parametrize(
    ("before", "after"), [("old-shop-key", "new-shop-key"), ("bare-1", "bare-2")]
)
def test_a_key_rotated_between_a_try_and_its_retry_pays_once(
    door: FlaskClient, hands: Hands, before: str, after: str
) -> None:
    first = post(door, "/api/payment/process", before, PAY, Idempotency_Key="order-1")
    again = post(door, "/api/payment/process", after, PAY, Idempotency_Key="order-1")
    assert again.get_json() == first.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert sum(event["type"] == "charge.succeeded" for event in hands.events()) == 1


def test_two_callers_share_no_idempotency_key(door: FlaskClient) -> None:
    first = post(door, "/api/payment/process", "old-shop-key", PAY, Idempotency_Key="order-1")
    other = post(door, "/api/payment/process", "kiosk-key", PAY, Idempotency_Key="order-1")
    assert other.status_code == 200
    assert other.get_json()["payment_intent_id"] != first.get_json()["payment_intent_id"]


ANOTHER = pytest.mark.parametrize(
    ("key", "account"),
    [("bare-1", {}), ("old-shop-key", {"Stripe_Account": "acct_1Seller"})],
    ids=["another caller", "another account"],
)


@ANOTHER
def test_a_key_of_another_caller_or_account_makes_another_refund(
    door: FlaskClient, key: str, account: dict[str, str]
) -> None:
    body = {"payment_intent_id": pay_with_old_key(door), "amount": 100}
    first = post(door, "/api/refund/process", "old-shop-key", body, Idempotency_Key="r")
    other = post(door, "/api/refund/process", key, body, Idempotency_Key="r", **account)
    assert (first.status_code, other.status_code) == (202, 202)
    assert other.get_json()["refund_request_id"] != first.get_json()["refund_request_id"]


@ANOTHER
def test_a_key_of_another_caller_or_account_gets_no_stored_answer(
    door: FlaskClient, key: str, account: dict[str, str]
) -> None:
    first = post(door, "/api/payment/process", "old-shop-key", PAY, Idempotency_Key="order-1")
    other = post(door, "/api/payment/process", key, PAY, Idempotency_Key="order-1", **account)
    assert first.status_code == 200
    assert "Idempotent-Replayed" not in other.headers


def test_a_caller_that_may_only_read_moves_no_money(door: FlaskClient, hands: Hands) -> None:
    payment = pay_with_old_key(door)
    for path, body in (
        ("/api/payment/process", PAY),
        ("/api/refund/process", {"payment_intent_id": payment}),
    ):
        answer = post(door, path, "report-key", body)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "read_only_caller")
    request_body = {"payment_intent_id": payment}
    assert post(door, "/api/payment/verify", "report-key", request_body).status_code == 200
    read = door.get(f"/api/payment/{payment}", headers={"Authorization": "Bearer report-key"})
    assert read.status_code == 200
    assert sum(event["type"] == "charge.succeeded" for event in hands.events()) == 1


def test_a_caller_acts_only_for_its_accounts(door: FlaskClient) -> None:
    answer = post(door, "/api/payment/process", "kiosk-key", PAY, Stripe_Account="acct_other")
    assert (answer.status_code, answer.get_json()["code"]) == (403, "account_not_allowed")
    assert post(door, "/api/payment/process", "kiosk-key", PAY).status_code == 200


def test_a_caller_for_one_account_need_not_name_it_to_reach_its_payments(
    door: FlaskClient, hands: Hands
) -> None:
    others, key = pay_with_old_key(door), {"Authorization": "Bearer seller-key"}
    seller = {"Stripe_Account": "acct_1Seller"}
    response = post(door, "/api/payment/process", "seller-key", PAY, **seller)
    own = response.get_json()["payment_intent_id"]
    body = {"payment_intent_id": own, "amount": 100}
    job = post(door, "/api/refund/process", "seller-key", body).get_json()["refund_request_id"]
    hands.work()
    refund = door.get(f"/api/refund/{job}", headers=key).get_json()["refund_id"]
    assert door.get(f"/api/refund/{refund}", headers=key).status_code == 200
    assert door.get("/api/payments", headers=key).status_code == 200
    assert post(door, "/api/payment/process", "seller-key", PAY).status_code == 403
    for payment, status, conflict in ((own, 200, 409), (others, 403, 403)):
        body = {"payment_intent_id": payment}
        assert door.get(f"/api/payment/{payment}", headers=key).status_code == status
        assert post(door, "/api/payment/verify", "seller-key", body).status_code == status
        cancel = post(door, f"/api/payment/{payment}/cancel", "seller-key", {})
        assert cancel.status_code == conflict
    refusal = post(door, "/api/refund/process", "seller-key", {"payment_intent_id": others})
    assert (refusal.status_code, refusal.get_json()["code"]) == (403, "account_not_allowed")


@pytest.mark.parametrize("path", ["/api/refund/re_1Unknown", "/api/payment/pi_1Unknown"])
def test_a_caller_for_one_account_cannot_ask_for_what_nobody_knows(
    door: FlaskClient, path: str
) -> None:
    answer = door.get(path, headers={"Authorization": "Bearer seller-key"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "account_not_allowed")


def test_a_refund_job_of_another_account_is_not_shown(door: FlaskClient, real_store: Store) -> None:
    payment = pay_with_old_key(door)
    headers = {"Stripe_Account": "acct_other"}
    job = post(
        door, "/api/refund/process", "old-shop-key", {"payment_intent_id": payment}, **headers
    ).get_json()["refund_request_id"]
    for key, status in (("kiosk-key", 403), ("old-shop-key", 200)):
        read = door.get(f"/api/refund/{job}", headers={"Authorization": f"Bearer {key}"})
        assert read.status_code == status


def test_a_callers_refunds_stay_below_its_ceiling(door: FlaskClient) -> None:
    payment = pay_with_old_key(door)

    def refund(key: str, amount: int | None, name: str) -> TestResponse:
        body = {"payment_intent_id": payment} | ({"amount": amount} if amount else {})
        return post(door, "/api/refund/process", key, body, Idempotency_Key=name)

    assert refund("kiosk-key", 300, "a").status_code == 202
    assert refund("kiosk-key", 300, "a").status_code == 202
    over = refund("kiosk-key", 201, "b")
    assert (over.status_code, over.get_json()["code"]) == (429, "refund_ceiling_reached")
    # The hour ends at most a minute after the refund's, because spending is summed by minute.
    assert 3600 <= int(over.headers["Retry-After"]) <= 3660
    assert "Retry-After" in refund("kiosk-key", 500, "whole").headers  # it fits in another hour
    never = refund("kiosk-key", 501, "never")
    assert (never.status_code, never.get_json()["code"]) == (429, "refund_ceiling_reached")
    assert "Retry-After" not in never.headers  # more than a whole hour's limit fits at no time
    assert refund("kiosk-key", None, "c").status_code == 429
    assert refund("kiosk-key", 200, "d").status_code == 202
    assert refund("kiosk-key", 1, "e").status_code == 429
    assert refund("old-shop-key", 500, "f").status_code == 202


def test_a_refund_of_the_rest_counts_the_rest_alone(door: FlaskClient, hands: Hands) -> None:
    payment = pay_with_old_key(door)
    batching.refund_at_stripe(hands, payment, 600)
    body = {"payment_intent_id": payment}
    assert post(door, "/api/refund/process", "kiosk-key", body).status_code == 202
    answer = post(door, "/api/refund/process", "kiosk-key", body | {"amount": 101})
    assert answer.status_code == 429


def test_a_refund_whose_request_broke_off_is_counted_once(
    door: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job was recorded, and its answer was not."""
    body = {"payment_intent_id": pay_with_old_key(door), "amount": 300}
    record = RefundJobs.record

    def break_off(*arguments: Any, **fields: Any) -> None:
        record(*arguments, **fields)
        raise Unavailable("the connection broke")

    def refund() -> TestResponse:
        return post(door, "/api/refund/process", "kiosk-key", body, Idempotency_Key="a")

    monkeypatch.setattr(RefundJobs, "record", break_off)
    assert refund().status_code == 503
    monkeypatch.setattr(RefundJobs, "record", record)
    assert refund().status_code == 202


def test_a_refund_whose_key_was_forgotten_is_counted_once(
    door: FlaskClient, real_store: Store
) -> None:
    """Its job is still known, so nothing is refunded again."""
    body = {"payment_intent_id": pay_with_old_key(door), "amount": 300}
    for _ in range(2):
        answer = post(door, "/api/refund/process", "kiosk-key", body, Idempotency_Key="a")
        assert answer.status_code == 202
        names = [str(name) for name in real_store.redis.scan_iter("*:idempotency:*")]
        real_store.redis.delete(*names)


def test_a_currency_without_a_ceiling_is_not_refunded(door: FlaskClient) -> None:
    response = post(door, "/api/payment/process", "old-shop-key", PAY | {"currency": "eur"})
    body = {"payment_intent_id": response.get_json()["payment_intent_id"], "amount": 1}
    answer = post(door, "/api/refund/process", "kiosk-key", body)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "currency_not_allowed")


def test_wrong_keys_are_limited_and_right_ones_never(settings: Settings, real_store: Store) -> None:
    own_settings = make_settings(api_keys="right", operator_keys="kim:kims-key")
    changes = {
        "api_keys": own_settings.api_keys,
        "operator_keys": own_settings.operator_keys,
        "bad_keys_per_minute": 3,
    }
    door = application(settings.model_copy(update=changes), real_store).test_client()
    request_body = {"payment_intent_id": "pi_1"}
    statuses = [
        post(door, "/api/payment/verify", f"guess-{number}", request_body).status_code
        for number in range(4)
    ]
    assert statuses == [401, 401, 401, 429]
    limited = door.get("/ops/queues", headers={"Authorization": "Bearer guess"})
    assert (limited.status_code, limited.get_json()["code"]) == (429, "too_many_bad_keys")
    assert int(limited.headers["Retry-After"]) > 0
    assert post(door, "/api/payment/verify", "right", request_body).status_code == 404
    right = door.get("/ops/queues", headers={"Authorization": "Bearer kims-key"})
    assert right.status_code == 200


@pytest.mark.parametrize(("key", "operator"), [("kims-key", "kim"), ("bare", None)])
def test_the_audit_names_the_operator_by_his_key(
    door: FlaskClient, key: str, operator: str | None
) -> None:
    bearer = {"Authorization": f"Bearer {key}"}
    door.post("/ops/reconcile", json={"by": "somebody else"}, headers=bearer)
    (entry,) = door.get("/ops/audit", headers=bearer).get_json()["data"]
    assert (entry.get("operator"), entry["by"]) == (operator, "somebody else")
    assert key not in str(entry)


@pytest.mark.parametrize(
    "limits",
    ["no json", '{"nobody": {"read_only": true}}', '{"shop": {"readonly": true}}', '{"shop": 1}'],
)
def test_limits_that_would_not_hold_are_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, limits: str
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_0123456789abcdef")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_one")
    monkeypatch.setenv("EVENT_SERVICE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("API_KEYS", "shop:key")
    monkeypatch.setenv("CALLER_LIMITS", limits)
    with pytest.raises(Misconfigured) as refusal:
        load_settings(env_file=None)
    assert refusal.value.detail.startswith("CALLER_LIMITS is not valid")
    monkeypatch.setenv("CALLER_LIMITS", '{"shop": {"accounts": ["acct_1"]}}')
    assert load_settings(env_file=None).caller_limits["shop"].accounts == {"acct_1"}
