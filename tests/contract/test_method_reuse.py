"""A payment method without a customer can pay only once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.purchases import create, try_to_pay

USED = "The provided PaymentMethod was previously used with a PaymentIntent without Customer"
NOT_ATTACHED = "This PaymentMethod was previously used without being attached to a Customer"


def card(api: Api, ready_made: str = "tok_visa") -> dict[str, Any]:
    return api.make("/v1/payment_methods", {"type": "card", "card[token]": ready_made})


def customer(api: Api) -> str:
    return str(api.make("/v1/customers", {})["id"])


@pytest.mark.parametrize(
    ("ready_made", "status"), [("tok_visa", 200), ("tok_chargeDeclined", 402), ("tok_amex", 200)]
)
def test_a_second_use_is_refused_after_success_or_decline(
    api: Api, ready_made: str, status: int
) -> None:
    method = card(api, ready_made)
    assert try_to_pay(api, method["id"]).status == status
    again = try_to_pay(api, method["id"])
    assert (again.status, again.error["type"]) == (400, "invalid_request_error")
    assert again.error["message"].startswith(USED)


def test_a_declined_method_cannot_try_the_same_intent_again(api: Api) -> None:
    method = card(api, "tok_chargeDeclined")
    intent = create(api)
    path = f"/v1/payment_intents/{intent['id']}/confirm"
    assert api.post(path, {"payment_method": method["id"]}).status == 402
    again = api.post(path, {"payment_method": method["id"]})
    assert (again.status, again.error["message"][: len(USED)]) == (400, USED)


def test_a_used_method_cannot_be_set_or_attached(api: Api) -> None:
    method = card(api)
    assert try_to_pay(api, method["id"]).status == 200
    form = {"amount": 500, "currency": "usd", "payment_method": method["id"]}
    assert api.post("/v1/payment_intents", form).error["message"].startswith(USED)
    other = create(api)
    updated = api.post(f"/v1/payment_intents/{other['id']}", {"payment_method": method["id"]})
    assert updated.error["message"].startswith(USED)
    attached = api.post(f"/v1/payment_methods/{method['id']}/attach", {"customer": customer(api)})
    assert (attached.status, attached.error["message"][: len(NOT_ATTACHED)]) == (400, NOT_ATTACHED)


def test_a_detached_method_is_used_up(api: Api) -> None:
    method, owner = card(api), customer(api)
    api.make(f"/v1/payment_methods/{method['id']}/attach", {"customer": owner})
    api.make(f"/v1/payment_methods/{method['id']}/detach")
    assert try_to_pay(api, method["id"]).error["message"].startswith(USED)
    attached = api.post(f"/v1/payment_methods/{method['id']}/attach", {"customer": owner})
    assert attached.error["message"].startswith(NOT_ATTACHED)


def test_an_attached_method_pays_again_and_again(api: Api) -> None:
    method, owner = card(api), customer(api)
    api.make(f"/v1/payment_methods/{method['id']}/attach", {"customer": owner})
    for _ in range(2):
        assert try_to_pay(api, method["id"], customer=owner).status == 200


def test_a_method_saved_by_its_payment_pays_again(api: Api) -> None:
    method, owner = card(api), customer(api)
    first = try_to_pay(api, method["id"], customer=owner, setup_future_usage="off_session")
    assert first.status == 200
    assert try_to_pay(api, method["id"], customer=owner, off_session="true").status == 200


def test_a_ready_made_id_is_a_new_method_each_time(api: Api) -> None:
    first, second = (try_to_pay(api, "pm_card_visa").body["payment_method"] for _ in range(2))
    assert first != second


def test_a_method_that_waits_for_its_challenge_is_not_used_up(api: Api) -> None:
    method = card(api, "tok_threeDSecure2Required")
    attempt = try_to_pay(api, method["id"]).body
    assert attempt["status"] == "requires_action"
    again = api.post(f"/v1/payment_intents/{attempt['id']}/confirm")
    assert (again.status, again.body["status"]) == (200, "requires_action")


def test_off_session_needs_no_return_url(api: Api) -> None:
    method, owner = card(api), customer(api)
    api.make(f"/v1/payment_methods/{method['id']}/attach", {"customer": owner})
    dynamic = {"amount": 500, "currency": "usd", "confirm": "true"}
    saved = {"customer": owner, "payment_method": method["id"]}
    payment = api.make("/v1/payment_intents", dynamic | saved | {"off_session": "true"})
    assert payment["status"] == "succeeded"
    assert payment["automatic_payment_methods"] == {"allow_redirects": "always", "enabled": True}
    there = api.post("/v1/payment_intents", dynamic | saved | {"off_session": "false"})
    assert (there.status, "return_url" in there.error["message"]) == (400, True)


def test_off_session_false_needs_no_confirm(api: Api) -> None:
    form = {"amount": 500, "currency": "usd", "off_session": "false"}
    assert api.make("/v1/payment_intents", form)["status"] == "requires_payment_method"
    early = api.post("/v1/payment_intents", form | {"off_session": "true"})
    assert (early.status, early.error["param"]) == (400, "off_session")


@pytest.mark.parametrize("method", ["pm_unknown", "pm_card_unknown"])
def test_an_unknown_method_cannot_be_attached(api: Api, method: str) -> None:
    answer = api.post(f"/v1/payment_methods/{method}/attach", {"customer": customer(api)})
    assert (answer.status, answer.error["code"]) == (404, "resource_missing")
