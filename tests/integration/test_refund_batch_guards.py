"""Who may start, read and control a batch of refunds, and its highest amount."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.bearer_keys import CallerLimits
from shared.settings import Settings
from shared.store.scripts import Call, Store
from shared.work import batches
from tests.conftest import make_settings
from tests.integration import batching as b
from tests.integration.doors import open_door
from tests.integration.hands import Hands

Json = dict[str, Any]
SHOP, KIOSK, OPERATOR = "shop-key", "kiosk-key", "operator-key"
KEYS = {"api_keys": f"shop:{SHOP},kiosk:{KIOSK}", "operator_keys": f"kim:{OPERATOR}"}


@pytest.fixture
def door(settings: Settings, real_store: Store, request: pytest.FixtureRequest) -> FlaskClient:
    """Serve with keys, and with the settings of the test's marker."""
    changes = getattr(request, "param", {})
    keys = make_settings(**KEYS)
    update = {name: getattr(keys, name) for name in KEYS} | changes
    return open_door(settings.model_copy(update=update), real_store)


def call(door: FlaskClient, key: str, path: str = "", body: Json | None = None) -> TestResponse:
    headers = {"Authorization": f"Bearer {key}"}
    route = f"/api/refund/batches{path}"
    if body is None:
        return door.get(route, headers=headers)
    return door.post(route, json=body, headers=headers)


REFUNDS_AT_STRIPE = {"method": "POST", "path_prefix": "/v1/refunds"}
SMALL = {"refund_batch_max_payments": 2}
CHEAP = {"refund_batch_max_amount": ("sgd:2500",)}


@pytest.mark.parametrize(("door", "needs"), [(CHEAP, True), (SMALL, False)], indirect=["door"])
def test_a_currency_without_a_limit_needs_an_operators_key_where_others_have_one(
    hands: Hands, door: FlaskClient, needs: bool
) -> None:
    yen = {"payments": b.pay(hands, 1, currency="jpy", amount=100)}
    dry = call(door, SHOP, body=yen | {"dry_run": True}).get_json()
    assert dry["needs_operator"] is needs
    assert call(door, SHOP, body=yen).status_code == (403 if needs else 202)


@pytest.mark.parametrize("door", [SMALL, CHEAP], indirect=True)
def test_a_large_batch_needs_an_operators_key(hands: Hands, door: FlaskClient) -> None:
    payments = b.pay(hands, 3)
    few, many = {"payments": payments[:2]}, {"payments": payments}
    dry = call(door, SHOP, body=many | {"dry_run": True})
    assert (dry.status_code, dry.get_json()["needs_operator"]) == (200, True)
    refusal = call(door, SHOP, body=many)
    assert (refusal.status_code, refusal.get_json()["code"]) == (403, "operator_key_required")
    assert call(door, SHOP, body=few).status_code == 202
    assert call(door, OPERATOR, body=many).status_code == 202


def test_a_batch_is_seen_and_steered_by_its_caller_and_by_operators_alone(
    hands: Hands, door: FlaskClient
) -> None:
    payments = b.pay(hands, 1)
    batch = call(door, SHOP, body={"payments": payments}).get_json()["batch_id"]
    for path in (f"/{batch}", f"/{batch}/refunds"):
        statuses = [call(door, key, path).status_code for key in (SHOP, OPERATOR, KIOSK)]
        assert statuses == [200, 200, 404]
    assert call(door, KIOSK, f"/{batch}/pause", {}).status_code == 404
    assert call(door, KIOSK).get_json()["data"] == []
    assert len(call(door, OPERATOR).get_json()["data"]) == 1
    assert call(door, "wrong", f"/{batch}").status_code == 401
    assert door.get(f"/api/refund/batches/{batch}").status_code == 401


def test_a_list_has_as_many_batches_as_there_are_among_others(
    hands: Hands, door: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of other callers and of other events take no place in a list."""
    monkeypatch.setattr(batches, "BATCHES_READ", 1)
    for event in ("evening", "matinee"):
        b.pay(hands, 1, event)
        assert call(door, SHOP, body={"event_id": event, "percent": 10}).status_code == 202
    assert call(door, OPERATOR, body={"event_id": "evening", "percent": 10}).status_code == 202
    (newest,) = call(door, SHOP, "?limit=1").get_json()["data"]
    assert newest["event_id"] == "matinee"
    (batch,) = call(door, SHOP, "?event_id=evening&limit=1").get_json()["data"]
    assert batch["event_id"] == "evening"
    assert len(call(door, OPERATOR).get_json()["data"]) == 3


LIMITED = {"shop": CallerLimits(refunds_per_hour={"sgd": 2500})}


@pytest.mark.parametrize("door", [{"caller_limits": LIMITED}], indirect=True)
def test_a_batch_counts_whole_against_the_ceiling_that_single_refunds_count_against(
    hands: Hands, door: FlaskClient
) -> None:
    payments = b.pay(hands, 4)
    single = {"payment_intent_id": payments[3], "amount": 600}
    headers = {"Authorization": f"Bearer {SHOP}"}
    refusal = call(door, SHOP, body={"payments": payments[:3]})
    assert (refusal.status_code, refusal.get_json()["code"]) == (429, "refund_ceiling_reached")
    assert "Retry-After" not in refusal.headers  # 3000 never fit into 2500
    assert "this is 3000" in refusal.get_json()["detail"]
    assert call(door, SHOP, body={"payments": payments[:2]}).status_code == 202
    later = call(door, SHOP, body={"payments": payments[2:3]})
    assert 3600 <= int(later.headers["Retry-After"]) <= 3660
    assert door.post("/api/refund/process", json=single, headers=headers).status_code == 429
    yen = b.pay(hands, 1, currency="jpy", amount=500)
    assert call(door, SHOP, body={"payments": yen}).get_json()["code"] == "currency_not_allowed"


@pytest.mark.parametrize("door", [{"caller_limits": LIMITED} | SMALL], indirect=True)
def test_a_dry_run_says_why_this_key_could_not_start_the_batch_and_counts_nothing(
    hands: Hands, door: FlaskClient
) -> None:
    payments = b.pay(hands, 3)
    many, two, one = ({"payments": payments[:number]} for number in (3, 2, 1))
    yen = {"payments": b.pay(hands, 1, currency="jpy", amount=500)}

    def refusal(body: Json, key: str = SHOP) -> Json | None:
        answer = call(door, key, body=body | {"dry_run": True})
        assert answer.status_code == 200
        why: Json | None = answer.get_json()["refusal"]
        return why

    assert [refusal(two) for _ in range(2)] == [None, None]
    assert call(door, SHOP, body=two).status_code == 202
    for body, code in (
        (many, "operator_key_required"),
        (yen, "currency_not_allowed"),
        (one, "refund_ceiling_reached"),
        ({"event_id": "no-such-event"}, "nothing_to_refund"),
    ):
        problem = call(door, SHOP, body=body).get_json()
        assert problem["code"] == code
        assert refusal(body) == {"code": code, "detail": problem["detail"]}
    assert [refusal(body, OPERATOR) for body in (many, yen, one)] == [None, None, None]


@pytest.mark.parametrize(
    "door", [{"caller_limits": LIMITED | {"kiosk": LIMITED["shop"]}}], indirect=True
)
def test_what_one_caller_refunds_does_not_count_against_anothers_ceiling(
    hands: Hands, door: FlaskClient
) -> None:
    payments = b.pay(hands, 5)
    for key, two in ((SHOP, payments[:2]), (KIOSK, payments[2:4])):
        assert call(door, key, body={"payments": two}).status_code == 202
        assert call(door, key, body={"payments": payments[4:]}).status_code == 429


@pytest.mark.parametrize("door", [{"caller_limits": LIMITED}], indirect=True)
def test_batches_at_the_same_time_do_not_pass_the_ceiling(hands: Hands, door: FlaskClient) -> None:
    payment_ids = b.pay(hands, 6)
    statuses: list[int] = []
    port = door.application.wsgi_app.port

    def start(payments: list[str]) -> None:
        answer = requests.post(
            f"http://127.0.0.1:{port}/api/refund/batches",
            json={"payments": payments},
            headers={"Authorization": f"Bearer {SHOP}"},
            timeout=30,
        )
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=start, args=([one],)) for one in payment_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202, 202, 429, 429, 429, 429]


TWO_LIMITS = {"shop": CallerLimits(refunds_per_hour={"jpy": 1000, "sgd": 2500})}


@pytest.mark.parametrize("door", [{"caller_limits": TWO_LIMITS}], indirect=True)
@pytest.mark.parametrize("yen_first", [True, False])
def test_a_batch_above_one_ceiling_counts_against_none(
    hands: Hands, door: FlaskClient, yen_first: bool
) -> None:
    """A refused batch refunds nothing, so the amounts in its other currencies are not spent."""
    yen, dollars = b.pay(hands, 1, currency="jpy", amount=600), b.pay(hands, 3)
    both = yen + dollars if yen_first else dollars + yen
    refusal = call(door, SHOP, body={"payments": both})
    assert (refusal.status_code, refusal.get_json()["code"]) == (429, "refund_ceiling_reached")
    for fits in (yen, dollars[:2]):
        assert call(door, SHOP, body={"payments": fits}).status_code == 202


@pytest.mark.parametrize("door", [{"caller_limits": TWO_LIMITS}], indirect=True)
def test_late_payments_above_one_ceiling_count_against_none(
    hands: Hands, door: FlaskClient
) -> None:
    b.pay(hands, 1, currency="jpy", amount=100)
    batch = call(door, SHOP, body={"event_id": "evening"}).get_json()["batch_id"]
    b.pay(hands, 1, currency="jpy", amount=600)
    b.pay(hands, 3)
    for _ in range(3):
        b.turn(hands)
    late = {"include": ["late"]}
    assert call(door, SHOP, f"/{batch}/retry", late).status_code == 429
    yen = b.pay(hands, 1, "matinee", currency="jpy", amount=900)
    assert call(door, SHOP, body={"payments": yen}).status_code == 202


def batch_with_late_payment(hands: Hands, door: FlaskClient) -> str:
    """Refund an evening for 100, and take a payment of 1000 for it meanwhile."""
    b.pay(hands, 1, amount=100)
    batch: str = call(door, SHOP, body={"event_id": "evening"}).get_json()["batch_id"]
    b.pay(hands, 1, amount=1000)
    for _ in range(3):
        b.turn(hands)
    return batch


@pytest.mark.parametrize("door", [{"caller_limits": LIMITED}], indirect=True)
def test_late_payments_count_once_however_often_they_are_retried(
    hands: Hands, door: FlaskClient
) -> None:
    batch = batch_with_late_payment(hands, door)
    verbs = (("retry", 200), ("retry", 200), ("cancel", 200), ("retry", 409))
    for verb, status in verbs:
        body = {"include": ["late"]} if verb == "retry" else {}
        assert call(door, SHOP, f"/{batch}/{verb}", body).status_code == status
    others = b.pay(hands, 1, "matinee", amount=1400)
    assert call(door, SHOP, body={"payments": others}).status_code == 202


@pytest.mark.parametrize("door", [{"caller_limits": LIMITED}], indirect=True)
def test_late_payments_count_once_when_two_people_retry_them_at_once(
    hands: Hands, door: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one's request comes after the first one's has looked, and before it acts."""
    batch = batch_with_late_payment(hands, door)
    late, run = {"include": ["late"]}, Store.run

    def run_after_the_second(store: Store, step: Call) -> Any:
        if step.script == "batch_turn":
            monkeypatch.setattr(Store, "run", run)
            assert call(door, SHOP, f"/{batch}/retry", late).status_code == 200
        return run(store, step)

    monkeypatch.setattr(Store, "run", run_after_the_second)
    assert call(door, SHOP, f"/{batch}/retry", late).status_code == 200
    others = b.pay(hands, 1, "matinee", amount=1400)
    assert call(door, SHOP, body={"payments": others}).status_code == 202


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "retry", "cancel"])
def test_an_operators_step_is_audited_even_if_the_api_dies_right_after_it(
    hands: Hands, door: FlaskClient, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """It dies before it asks for upkeep, which is the first it does after the step."""
    (payment,) = b.pay(hands, 1)
    if verb != "start":
        batch = call(door, OPERATOR, body={"payments": [payment]}).get_json()["batch_id"]
    if verb == "resume":
        call(door, OPERATOR, f"/{batch}/pause", {})
    if verb == "retry":
        hands.break_stripe(match=REFUNDS_AT_STRIPE, kind="error", status=400, times=1)
        b.run(hands, batch)

    def die(self: Store, call_: Call) -> Any:
        if call_.script not in ("batch_record", "batch_turn"):
            return run(self, call_)
        run(self, call_)
        raise RuntimeError("the API dies")

    run = Store.run
    monkeypatch.setattr(Store, "run", die)
    path, body = ("", {"payments": [payment]}) if verb == "start" else (f"/{batch}/{verb}", {})
    assert call(door, OPERATOR, path, body).status_code == 500
    monkeypatch.undo()
    newest = door.get("/ops/audit", headers={"Authorization": f"Bearer {OPERATOR}"}).get_json()
    kinds = [one["kind"] for one in newest["data"]]
    assert kinds[:1] == [f"refund_batch_{'started' if verb == 'start' else verb}"]
    assert newest["data"][0]["operator"] == "kim"


@pytest.mark.parametrize("door", [{"caller_limits": LIMITED}], indirect=True)
def test_payments_that_came_late_count_against_the_ceiling_too(
    hands: Hands, door: FlaskClient
) -> None:
    b.pay(hands, 2)
    batch = call(door, SHOP, body={"event_id": "evening"}).get_json()["batch_id"]
    b.pay(hands, 1)
    for _ in range(3):
        b.turn(hands)
    assert call(door, SHOP, f"/{batch}").get_json()["counts"]["late"] == 1
    late = {"include": ["late"]}
    refusal = call(door, SHOP, f"/{batch}/retry", late)
    assert (refusal.status_code, refusal.get_json()["code"]) == (429, "refund_ceiling_reached")
    assert call(door, OPERATOR, f"/{batch}/retry", late).status_code == 200


READER = {"shop": CallerLimits(read_only=True)}
ELSEWHERE = {"shop": CallerLimits(accounts=frozenset(("acct_1",)))}


@pytest.mark.parametrize(
    ("door", "code"),
    [
        ({"caller_limits": READER}, "read_only_caller"),
        ({"caller_limits": ELSEWHERE}, "account_not_allowed"),
    ],
    indirect=["door"],
)
def test_a_callers_limits_hold_for_batches(hands: Hands, door: FlaskClient, code: str) -> None:
    payments = b.pay(hands, 1)
    refusal = call(door, SHOP, body={"payments": payments})
    assert (refusal.status_code, refusal.get_json()["code"]) == (403, code)


def test_payments_of_another_account_are_left_out(hands: Hands) -> None:
    (ours,) = b.pay(hands, 1)
    answer = hands.client.post(
        "/api/refund/batches",
        json={"payments": [ours], "dry_run": True},
        headers={"Stripe-Account": "acct_1"},
    )
    assert answer.get_json()["left_out"] == {"other_account": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"event_id": "a", "payments": ["pi_1"]},
        {"payments": []},
        {"payments": ["rr_1"]},
        {"event_id": ""},
        {"event_id": "a", "percent": 0},
        {"event_id": "a", "percent": 100.5},
        {"event_id": "a", "percent": 12.345},
        {"event_id": "a", "percent": "1_0"},
        {"event_id": "a", "percent": " 5"},
        {"event_id": "a", "percent": "\u0663"},
        {"event_id": "a", "percent": 50, "amount": 5},
        {"event_id": "a", "amount": 0},
        {"event_id": "a", "keep_fee": -1},
        {"event_id": "a", "keep_fee": "all"},
        {"event_id": "a", "keep_fee": True},
        {"event_id": "a", "keep_fee": 1.5},
        {"event_id": "a", "dry_run": "yes"},
        {"event_id": "a", "reason": "because"},
    ],
)
def test_a_wrong_request_is_refused_and_records_nothing(hands: Hands, body: Json) -> None:
    refusal = b.start(hands, **body)
    assert (refusal.status_code, refusal.get_json()["code"]) == (422, "invalid_parameter")
    assert hands.client.get("/api/refund/batches").get_json()["data"] == []


@pytest.mark.parametrize("fee", [-1, 1.5, "10", True, 10**12])
def test_a_wrong_fee_is_named_as_its_field(hands: Hands, fee: object) -> None:
    problem = b.start(hands, event_id="a", keep_fee=fee).get_json()
    assert problem["param"] == "keep_fee"
    assert [one["param"] for one in problem["errors"]] == ["keep_fee"]


@pytest.mark.parametrize("path", ["", "/{batch}/refunds"])
@pytest.mark.parametrize(
    "query",
    [
        *("colour=red", "limit=2&limit=3", "limit=0", "limit=-1", "limit=1001"),
        *("limit=1_0", "limit=1.0", "limit=%205", "limit=%2B5", "limit=%D9%A3", "limit="),
    ],
)
def test_a_query_with_what_would_be_ignored_is_refused(hands: Hands, path: str, query: str) -> None:
    batch = b.started(hands, payments=b.pay(hands, 1))
    answer = hands.client.get(f"/api/refund/batches{path.format(batch=batch)}?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["param"] == query.partition("=")[0]


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_field_that_would_be_ignored_is_refused(hands: Hands, verb: str) -> None:
    batch = b.started(hands, payments=b.pay(hands, 1))
    answer = b.post(hands, batch, verb, {"include": ["late"]})
    assert (answer.status_code, answer.get_json()["param"]) == (422, "include")
    assert b.look(hands, batch)["state"] == "running"


@pytest.mark.parametrize("event", ["%ff", "a%C3", "%ED%A0%80"])
def test_a_query_that_cannot_be_read_is_refused(hands: Hands, event: str) -> None:
    for path in ("/api/payments", "/api/refund/batches", "/ops/payments"):
        answer = hands.client.get(f"{path}?event_id={event}")
        assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize("number", ["1_0", "%205", "%2B5", "1.0", "1e3"])
@pytest.mark.parametrize("name", ["created[gte]", "created[lt]", "limit"])
def test_a_number_with_other_signs_than_figures_is_refused(
    hands: Hands, name: str, number: str
) -> None:
    answer = hands.client.get(f"/api/payments?{name}={number}")
    assert (answer.status_code, answer.get_json()["param"]) == (422, name)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/refund/batches?dry_run=true", {"event_id": "evening"}),
        ("/api/refund/process?amount=100", {"payment_intent_id": "pi_1"}),
        ("/api/payment/verify?expected_amount=1", {"payment_intent_id": "pi_1"}),
    ],
)
def test_a_parameter_of_a_post_beside_its_body_is_refused(
    hands: Hands, path: str, body: Json
) -> None:
    """Ignored, it would refund a whole event instead of showing what would happen."""
    b.pay(hands, 1)
    answer = hands.client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.get_json()["param"] == path.partition("?")[2].partition("=")[0]
    assert hands.client.get("/api/refund/batches").get_json()["data"] == []


def test_an_event_without_payments_is_said_to_have_none(hands: Hands) -> None:
    refusal = b.start(hands, event_id="nobody")
    assert (refusal.status_code, refusal.get_json()["code"]) == (422, "nothing_to_refund")
    assert "No payment of this event" in refusal.get_json()["detail"]
    assert hands.client.get("/api/refund/batches").get_json()["data"] == []


def test_a_percentage_is_shown_in_figures(hands: Hands) -> None:
    batch = b.started(hands, payments=b.pay(hands, 1), percent="1e1")
    assert b.look(hands, batch)["percent"] == "10"


def test_an_amount_has_one_meaning(hands: Hands) -> None:
    payments = b.pay(hands, 1) + b.pay(hands, 1, currency="jpy", amount=500)
    refusal = b.start(hands, payments=payments, amount=100)
    assert refusal.get_json()["code"] == "several_currencies"
    one = b.start(hands, payments=payments, amount=100, expected_currency="jpy", dry_run=True)
    assert one.get_json()["amounts"] == {"jpy": 100}
    assert one.get_json()["left_out"] == {"currency_mismatch": 1}


def test_no_fee_is_none_in_every_currency(hands: Hands) -> None:
    payments = b.pay(hands, 1) + b.pay(hands, 1, currency="jpy", amount=500)
    answer = b.start(hands, payments=payments, keep_fee=0, dry_run=True)
    assert answer.get_json()["amounts"] == {"jpy": 500, "sgd": 1000}


def test_a_fee_has_one_meaning_also_where_it_takes_the_whole_payment(hands: Hands) -> None:
    """300 would leave nothing of a payment of 250 yen, and was meant in dollars."""
    payments = b.pay(hands, 1) + b.pay(hands, 1, currency="jpy", amount=250)
    refusal = b.start(hands, payments=payments, keep_fee=300)
    assert refusal.get_json()["code"] == "several_currencies"


def test_ten_thousand_payments_fit_into_one_request(hands: Hands) -> None:
    ids = [f"pi_3{number:024d}" for number in range(10_000)]
    answer = b.start(hands, payments=ids, dry_run=True)
    assert answer.get_json()["left_out"] == {"unknown_payment": 10_000}
    assert b.start(hands, payments=[*ids, "pi_one_more"], dry_run=True).status_code in (400, 422)
