"""Every field that Stripe's description calls expandable can be expanded, also in a list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.parameters import document
from tests.contract.purchases import pay
from tests.contract.side import Side
from tests.contract.test_parameters import SALE, SESSIONS

KINDS = {
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "balance_transaction": "/v1/balance_transactions",
    "payment_method": "/v1/payment_methods",
    "checkout.session": SESSIONS,
    "price": "/v1/prices",
    "product": "/v1/products",
    "customer": "/v1/customers",
}
# Other types than card: Stripe's description lists a map for each type.
OTHER_TYPES = {"payment_method"}


@pytest.fixture(scope="module")
def objects(api: Api, side: Side) -> dict[str, str]:
    """Make one object of each kind; return their ids."""
    customer = api.make("/v1/customers", {})["id"]
    payment, disputed = pay(api, customer=customer), pay(api, "pm_card_createDispute")
    session = api.make(SESSIONS, SALE)
    [item] = api.find(f"{SESSIONS}/{session['id']}/line_items")["data"]
    dispute = side.eventually(
        lambda: api.find("/v1/disputes", {"payment_intent": disputed["id"]})["data"], "a dispute"
    )[0]
    return {
        "payment_intent": payment["id"],
        "charge": payment["latest_charge"],
        "refund": api.make("/v1/refunds", {"payment_intent": payment["id"]})["id"],
        "dispute": dispute["id"],
        "balance_transaction": dispute["balance_transactions"][0]["id"],
        "payment_method": payment["payment_method"],
        "checkout.session": session["id"],
        "price": item["price"]["id"],
        "product": item["price"]["product"],
        "customer": customer,
    }


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_expandable_expands(api: Api, objects: dict[str, str], kind: str) -> None:
    names: list[str] = document()["components"]["schemas"][kind]["x-expandableFields"]
    path = f"{KINDS[kind]}/{objects[kind]}"
    plain = api.find(path)
    for name in names:
        if kind in OTHER_TYPES and name not in plain:
            continue
        opened = api.get(path, {"expand[]": name})
        assert opened.status == 200, f"{name}: {opened.body}"
        assert set(opened.body) - {name} == set(plain) - {name}


@pytest.mark.parametrize("name", ["description", "amount", "nothing", "metadata.a"])
def test_what_is_not_expandable_is_refused(api: Api, objects: dict[str, str], name: str) -> None:
    path = f"/v1/payment_intents/{objects['payment_intent']}"
    refusal: Any = api.get(path, {"expand[]": name})
    assert (refusal.status, "cannot be expanded" in refusal.error["message"]) == (400, True)


def test_a_path_ends_where_nothing_is(api: Api, objects: dict[str, str]) -> None:
    path = f"/v1/payment_intents/{objects['payment_intent']}"
    plain = api.find(path)
    assert api.find(path, {"expand[]": "transfer_data.destination"}) == plain
    assert api.find(path, {"expand[]": "last_payment_error.payment_method"}) == plain
