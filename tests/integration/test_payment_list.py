"""`GET /api/payments`: the payments that a caller may see, their order, and hidden ones."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from shared.settings import Settings
from shared.store.scripts import Store
from tests.conftest import make_settings
from tests.integration.doors import application
from tests.integration.hands import Hands
from tests.integration.test_payment_index import pay

Json = dict[str, Any]
ACCOUNT = "acct_1Band"


def got(client: FlaskClient, query: Json | None = None, **headers: str) -> Json:
    answer = client.get("/api/payments", query_string=query or {}, headers=headers)
    assert answer.status_code == 200, answer.text
    page: Json = answer.get_json()
    return page


def ids(page: Json) -> list[str]:
    return [row["id"] for row in page["data"]]


def deliver_events_of(hands: Hands, account: str) -> None:
    """Deliver the events of a connected account, as the endpoint for Connect gets them."""
    key = {"Authorization": "Bearer sk_test_tests_0123456789", "Stripe-Account": account}
    answer = requests.get(f"{hands.sandbox}/v1/events?limit=100", headers=key, timeout=5)
    for event in reversed(answer.json()["data"]):
        assert hands.post_event(event | {"account": account}).status_code == 200
    hands.work()


def test_a_caller_lists_the_payments_of_an_event_as_they_stand(hands: Hands) -> None:
    metadata = {"event_id": "concert-7", "user_id": "u-1", "order_id": "A-4711", "seat": "12"}
    first = pay(hands, amount=4200, customer_email="kim@example.com", metadata=metadata)
    second = pay(hands, metadata={"event_id": "concert-7"})
    pay(hands, metadata={"event_id": "concert-8"})
    hands.client.post("/api/refund/process", json={"payment_intent_id": first, "amount": 200})
    hands.work()
    hands.deliver_events()
    hands.work()
    page = got(hands.client, {"event_id": "concert-7"})
    assert (ids(page), page["has_more"]) == ([second, first], False)
    row = page["data"][1]
    assert row["payment_intent_id"] == first
    assert (row["status"], row["amount"], row["currency"]) == ("succeeded", 4200, "sgd")
    assert (row["amount_received"], row["amount_refunded"]) == (4200, 200)
    assert (row["customer_email"], row["metadata"]) == ("kim@example.com", metadata)
    assert (row["disputed"], row["account"], row["livemode"]) == (False, None, False)
    assert row["charge_id"].startswith("ch_")
    for narrowed in (
        {"event_id": "concert-7", "user_id": "u-1"},
        {"order_id": "A-4711"},
        {"email": "KIM@example.com"},
        {"event_id": "concert-7", "created[lt]": str(row["created"] + 1), "user_id": "u-1"},
    ):
        assert ids(got(hands.client, narrowed)) == [first], narrowed
    assert ids(got(hands.client, {"event_id": "concert-7", "status": "canceled"})) == []
    assert ids(got(hands.client, {"created[gte]": str(row["created"] + 60)})) == []


def test_a_caller_turns_the_pages_and_sees_each_payment_once(hands: Hands) -> None:
    payments = [pay(hands, metadata={"event_id": "e"}) for _ in range(5)]
    pages: list[str] = []
    page: Json = {"has_more": True}
    while page["has_more"]:
        after = {"starting_after": pages[-1]} if pages else {}
        page = got(hands.client, {"event_id": "e", "limit": "2"} | after)
        pages += ids(page)
        pay(hands, metadata={"event_id": "e"})  # newer payments shift nothing
    assert pages == payments[::-1]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=odd", "status"),
        ("event_id=", "event_id"),
        ("created[gte]=yesterday", "created[gte]"),
        ("created[lt]=-1", "created[lt]"),
        ("created[gt]=1", "created[gt]"),
        ("seat=12", "seat"),
        ("email=kim", "email"),
        ("disputed=perhaps", "disputed"),
        ("starting_after=a%20b", "starting_after"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(client: FlaskClient, query: str, param: str) -> None:
    answer = client.get(f"/api/payments?{query}")
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_parameter")
    assert problem["param"] == param


def test_a_filter_that_comes_twice_is_refused(client: FlaskClient) -> None:
    answer = client.get("/api/payments?status=succeeded&status=canceled")
    assert answer.status_code == 422
    assert answer.get_json()["param"] == "status"


def test_a_page_after_a_payment_that_nobody_knows_is_refused(client: FlaskClient) -> None:
    answer = client.get("/api/payments?starting_after=pi_unknown")
    problem = answer.get_json()
    assert (answer.status_code, problem["param"]) == (400, "starting_after")


def test_a_card_number_in_a_filter_is_refused(client: FlaskClient) -> None:
    answer = client.get("/api/payments?user_id=4242424242424242")
    assert answer.get_json()["code"] == "raw_card_data_refused"


def test_the_settings_say_which_metadata_payments_are_listed_by(
    settings: Settings, hands: Hands, real_store: Store
) -> None:
    changed = settings.model_copy(update={"indexed_metadata": ("event_id", "seat-row")})
    door = application(changed, real_store).test_client()
    answer = door.get("/api/payments?order_id=A")
    assert (answer.status_code, answer.get_json()["param"]) == (422, "order_id")
    assert got(door, {"seat-row": "12"})["data"] == []


def test_a_caller_sees_the_payments_of_its_accounts_only(
    settings: Settings, hands: Hands, real_store: Store
) -> None:
    ours = pay(hands, metadata={"event_id": "e"})
    body = {"amount": 500, "currency": "sgd", "payment_method": "pm_card_visa"}
    response = hands.client.post(
        "/api/payment/process",
        json=body | {"metadata": {"event_id": "e"}},
        headers={"Stripe-Account": ACCOUNT},
    )
    theirs = response.get_json()["payment_intent_id"]
    deliver_events_of(hands, ACCOUNT)
    limits = {"ours": {"accounts": ["own"]}, "band": {"accounts": [ACCOUNT]}}
    own_settings = make_settings(
        api_keys="all:all-key,ours:ours-key,band:band-key", caller_limits=limits
    )
    changes = {name: getattr(own_settings, name) for name in ("api_keys", "caller_limits")}
    door = application(settings.model_copy(update=changes), real_store).test_client()

    def visible_to(key: str, **headers: str) -> set[str]:
        return set(ids(got(door, {"event_id": "e"}, Authorization=f"Bearer {key}", **headers)))

    assert visible_to("all-key") == {ours, theirs}
    assert visible_to("ours-key") == {ours}
    names = {"Stripe-Account": ACCOUNT}
    assert visible_to("band-key", **names) == {theirs}
    assert visible_to("all-key", **names) == {theirs}
    refusal = door.get("/api/payments", headers={"Authorization": "Bearer ours-key"} | names)
    assert refusal.get_json()["code"] == "account_not_allowed"
    assert door.get("/api/payments").status_code == 401
