from __future__ import annotations

import secrets

import pytest

from tests.contract.client import Api
from tests.contract.purchases import create, pay, try_to_pay


@pytest.fixture
def customer(api: Api) -> str:
    """Make a customer for the test, so that lists contain only the test's objects."""
    return str(api.make("/v1/customers", {"email": "jenny@example.com"})["id"])


def test_a_list_says_what_it_is_and_comes_newest_first(api: Api, customer: str) -> None:
    ids = [create(api, customer=customer)["id"] for _ in range(3)]
    page = api.find("/v1/payment_intents", {"customer": customer})
    assert page["object"] == "list"
    assert page["url"] == "/v1/payment_intents"
    assert page["has_more"] is False
    assert [intent["id"] for intent in page["data"]] == ids[::-1]


def test_cursors_walk_both_ways(api: Api, customer: str) -> None:
    ids = [create(api, customer=customer)["id"] for _ in range(3)]
    first = api.find("/v1/payment_intents", {"customer": customer, "limit": 2})
    assert first["has_more"] is True
    last = api.find(
        "/v1/payment_intents",
        {"customer": customer, "limit": 2, "starting_after": first["data"][-1]["id"]},
    )
    assert [i["id"] for i in last["data"]] == [ids[0]]
    assert last["has_more"] is False
    back = api.find(
        "/v1/payment_intents", {"customer": customer, "limit": 2, "ending_before": ids[0]}
    )
    assert [i["id"] for i in back["data"]] == [ids[2], ids[1]]


@pytest.mark.parametrize(("limit", "length"), [(None, 10), (0, 1), (1, 1), (101, 12)])
def test_limits_out_of_range_are_set_right_silently(
    api: Api, customer: str, limit: int | None, length: int
) -> None:
    for _ in range(12):
        create(api, customer=customer)
    params = {"customer": customer} | ({} if limit is None else {"limit": limit})
    assert len(api.find("/v1/payment_intents", params)["data"]) == length


def test_both_cursors_at_once_are_refused(api: Api) -> None:
    one = create(api)["id"]
    answer = api.get("/v1/payment_intents", {"starting_after": one, "ending_before": one})
    assert answer.status == 400
    assert "code" not in answer.error


def test_a_cursor_that_does_not_exist_is_refused(api: Api) -> None:
    answer = api.get("/v1/payment_intents", {"starting_after": "pi_nope"})
    assert (answer.status, answer.error["code"]) == (400, "resource_missing")
    assert answer.error["param"] == "starting_after"


def test_created_filters_by_bounds_and_by_moment(api: Api, customer: str) -> None:
    moment = create(api, customer=customer)["created"]

    def count(**params: int) -> int:
        page = api.find("/v1/payment_intents", {"customer": customer} | params)
        return len(page["data"])

    assert count(**{"created[gte]": moment, "created[lte]": moment}) == 1
    assert count(created=moment) == 1
    assert count(**{"created[gt]": moment}) == 0
    assert count(**{"created[lt]": moment}) == 0


def test_an_id_opens_into_its_object(api: Api) -> None:
    intent = pay(api)
    path = f"/v1/payment_intents/{intent['id']}"
    assert isinstance(intent["latest_charge"], str)
    charge = api.find(path, {"expand[]": "latest_charge"})["latest_charge"]
    assert charge["object"] == "charge"
    assert charge["payment_intent"] == intent["id"]


def test_expansion_reaches_through_objects(api: Api) -> None:
    intent = pay(api)
    path = f"/v1/payment_intents/{intent['id']}"
    opened = api.find(path, {"expand[]": "latest_charge.payment_intent.payment_method"})
    method = opened["latest_charge"]["payment_intent"]["payment_method"]
    assert method["object"] == "payment_method"


def test_expansion_works_on_creation_and_in_lists(api: Api, customer: str) -> None:
    intent = pay(api, customer=customer, **{"expand[]": "latest_charge"})
    assert intent["latest_charge"]["status"] == "succeeded"
    page = api.find("/v1/payment_intents", {"customer": customer, "expand[]": "data.latest_charge"})
    assert page["data"][0]["latest_charge"]["object"] == "charge"


def test_what_is_no_reference_cannot_be_expanded(api: Api) -> None:
    intent = create(api)
    answer = api.get(f"/v1/payment_intents/{intent['id']}", {"expand[]": "amount"})
    assert answer.status == 400
    assert answer.error["message"].startswith("This property cannot be expanded (amount).")


def test_expansion_ends_after_four_levels(api: Api) -> None:
    intent = pay(api)
    deep = "latest_charge.payment_intent.latest_charge.payment_intent.latest_charge"
    assert api.get(f"/v1/payment_intents/{intent['id']}", {"expand[]": deep}).status == 400


def test_refunds_of_a_charge_are_counted(api: Api) -> None:
    intent = pay(api)
    for _ in range(2):
        api.make("/v1/refunds", {"payment_intent": intent["id"], "amount": 100})
    page = api.find("/v1/refunds", {"charge": intent["latest_charge"]})
    assert page["count"] == 2
    assert [refund["amount"] for refund in page["data"]] == [100, 100]
    assert len(api.find("/v1/refunds", {"payment_intent": intent["id"]})["data"]) == 2


def test_an_expanded_list_of_refunds_carries_its_total(api: Api) -> None:
    intent = pay(api)
    api.make("/v1/refunds", {"payment_intent": intent["id"], "amount": 100})
    path = f"/v1/charges/{intent['latest_charge']}"
    assert "refunds" not in api.find(path)
    refunds = api.find(path, {"expand[]": "refunds"})["refunds"]
    assert (refunds["object"], refunds["total_count"]) == ("list", 1)


def test_charges_of_an_intent_include_the_failed_ones(api: Api) -> None:
    declined = try_to_pay(api, "pm_card_chargeDeclined").error["payment_intent"]
    path = f"/v1/payment_intents/{declined['id']}"
    api.make(path + "/confirm", {"payment_method": "pm_card_visa"})
    charges = api.find("/v1/charges", {"payment_intent": declined["id"]})["data"]
    assert [charge["status"] for charge in charges] == ["succeeded", "failed"]


def test_events_are_found_by_type_by_types_and_by_wildcard(api: Api) -> None:
    pay(api)
    one = api.find("/v1/events", {"type": "charge.succeeded"})["data"]
    assert {event["type"] for event in one} == {"charge.succeeded"}
    two = api.find(
        "/v1/events",
        [("types[]", "charge.succeeded"), ("types[]", "payment_intent.succeeded"), ("limit", 100)],
    )["data"]
    assert {event["type"] for event in two} == {"charge.succeeded", "payment_intent.succeeded"}
    wild = api.find("/v1/events", {"type": "charge.*", "limit": 100})["data"]
    assert wild
    assert all(event["type"].startswith("charge.") for event in wild)


def test_metadata_is_merged_and_emptied_by_key(api: Api) -> None:
    intent = create(api, **{"metadata[a]": "1", "metadata[b]": secrets.token_hex(4)})
    path = f"/v1/payment_intents/{intent['id']}"
    changed = api.make(path, {"metadata[b]": "", "metadata[c]": "3"})
    assert changed["metadata"] == {"a": "1", "c": "3"}
    assert api.make(path, {"metadata": ""})["metadata"] == {}
