"""Connected accounts: created, listed, used and deleted."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.contract.client import Api
from tests.contract.jury import Jury
from tests.contract.purchases import pay

pytestmark = pytest.mark.fake_only(reason="an account needs Connect to have accounts connected")
PATH = "/v1/accounts"


@pytest.fixture
def connected(api: Api) -> list[str]:
    """Return three accounts, newest first, as Stripe lists them."""
    accounts = [api.make(PATH, {"type": kind})["id"] for kind in ("standard", "express", "custom")]
    return accounts[::-1]


def ids(page: dict[str, Any]) -> list[str]:
    return [account["id"] for account in page["data"]]


def test_an_account_is_made_as_asked_and_found_again(api: Api) -> None:
    parameters = {
        "type": "express",
        "country": "SG",
        "default_currency": "sgd",
        "email": "hall@example.com",
        "business_type": "non_profit",
    }
    account = api.make(PATH, parameters | {"metadata[hall]": "1"})
    assert account["id"].startswith("acct_")
    assert account | parameters == account
    assert account["metadata"] == {"hall": "1"}
    assert account["charges_enabled"] is True
    assert api.find(f"{PATH}/{account['id']}") == account


def test_accounts_are_listed_newest_first_in_pages(api: Api, connected: list[str]) -> None:
    newest, middle, oldest = connected
    first = api.find(PATH, {"limit": 2})
    assert (ids(first), first["has_more"]) == ([newest, middle], True)
    second = api.find(PATH, {"limit": 1, "starting_after": middle})
    assert ids(second) == [oldest]
    back = api.find(PATH, {"limit": 2, "ending_before": oldest})
    assert (ids(back), back["has_more"]) == ([newest, middle], False)


def test_the_sdk_pages_through_all(sdk: stripe.StripeClient, connected: list[str]) -> None:
    listing = sdk.v1.accounts.list({"limit": 2}).auto_paging_iter()
    assert [account.id for account in listing][:3] == connected


def test_to_act_for_an_account_is_to_have_it_connected(api: Api) -> None:
    account_id = "acct_1NamedOnly"
    theirs = api.acting_for(account_id)
    intent = pay(theirs)
    assert account_id in ids(api.find(PATH, {"limit": 100}))
    assert theirs.find("/v1/account")["id"] == account_id
    assert api.get(f"/v1/payment_intents/{intent['id']}").status == 404


def test_events_of_an_account_name_it_and_are_listed_there_only(
    api: Api, jury: Jury, connected: list[str]
) -> None:
    mine = pay(api)
    for name in connected[:2]:
        theirs = api.acting_for(name)
        intent = pay(theirs)
        events = theirs.find("/v1/events", {"limit": 100})["data"]
        assert {event["account"] for event in events} == {name}
        assert events[-1]["data"]["object"]["id"] == intent["id"]
        assert [c for event in events for c in jury.oracle.judge_event(event).complaints] == []
        path = f"/v1/events/{events[0]['id']}"
        assert theirs.find(path) == events[0]
        assert api.get(path).status == 404
    ours = api.find("/v1/events", {"limit": 100})["data"]
    assert mine["id"] in {event["data"]["object"]["id"] for event in ours}
    assert not any("account" in event for event in ours)


def test_the_platform_is_no_account_of_its_own(api: Api, connected: list[str]) -> None:
    platform = api.find("/v1/account")
    assert platform["object"] == "account"
    assert platform["id"] not in ids(api.find(PATH, {"limit": 100}))
    assert api.acting_for(connected[0]).find(PATH)["data"] == []


@pytest.mark.parametrize("name", ["acct_unknown", "acct_let_go"])
def test_an_account_that_is_not_ours_is_refused(api: Api, endive: Api, name: str) -> None:
    if name == "acct_let_go":
        name = api.make(PATH)["id"]
        deletion = endive.delete(f"{PATH}/{name}")
        assert deletion.body == {"id": name, "object": "account", "deleted": True}
        acting = api.acting_for(name).get("/v1/events")
        assert (acting.status, acting.error["code"]) == (403, "account_invalid")
    answer = api.get(f"{PATH}/{name}")
    assert (answer.status, answer.error["code"]) == (403, "account_invalid")
    assert answer.error["message"].startswith("The provided key")
    assert f"'{name}'" in answer.error["message"]
    assert name not in ids(api.find(PATH, {"limit": 100}))
