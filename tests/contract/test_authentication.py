"""3D Secure: the action that the intent requires, and its outcome."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import RETURN_URL, pay
from tests.contract.side import Side

CARD = "pm_card_threeDSecure2Required"
NO_BANK = "Stripe's test bank page is a person's business; the sandbox has a route for machines"


def authenticate(side: Side, intent: dict[str, Any], outcome: str) -> dict[str, Any]:
    """Act as the cardholder by the sandbox's control route."""
    return side.control(f"payment_intents/{intent['id']}/authenticate", outcome=outcome)


def test_with_a_return_url_the_browser_is_sent_away(api: Api) -> None:
    intent = pay(api, CARD, return_url=RETURN_URL)
    action = intent["next_action"]
    assert action["type"] == "redirect_to_url"
    assert action["redirect_to_url"]["return_url"] == RETURN_URL
    assert action["redirect_to_url"]["url"].startswith("http")


def test_without_one_the_sdk_is_used(api: Api, diary: Diary) -> None:
    intent = pay(api, CARD)
    assert intent["next_action"]["type"] == "use_stripe_sdk"
    assert intent["next_action"]["use_stripe_sdk"]["type"] in {
        "three_d_secure_redirect",
        "stripe_3ds2_fingerprint",
    }
    assert intent["latest_charge"] is None
    diary.tells(intent["id"], "payment_intent.created", "payment_intent.requires_action")


@pytest.mark.fake_only(reason=NO_BANK)
def test_an_authenticated_payment_succeeds(api: Api, side: Side, diary: Diary) -> None:
    intent = pay(api, CARD)
    authenticate(side, intent, "complete")
    payment = api.find(f"/v1/payment_intents/{intent['id']}", {"expand[]": "latest_charge"})
    assert (payment["status"], payment["next_action"]) == ("succeeded", None)
    secure = payment["latest_charge"]["payment_method_details"]["card"]["three_d_secure"]
    assert secure["result"] == "authenticated"
    diary.tells(
        intent["id"],
        "payment_intent.created",
        "payment_intent.requires_action",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
    )


@pytest.mark.fake_only(reason=NO_BANK)
def test_an_authenticated_hold_waits_for_capture(api: Api, side: Side) -> None:
    intent = pay(api, CARD, capture_method="manual")
    authenticate(side, intent, "complete")
    assert api.find(f"/v1/payment_intents/{intent['id']}")["status"] == "requires_capture"


@pytest.mark.fake_only(reason=NO_BANK)
@pytest.mark.parametrize("outcome", ["fail", "cancel"])
def test_a_failed_authentication_asks_for_another_method(
    api: Api, side: Side, diary: Diary, outcome: str
) -> None:
    intent = pay(api, CARD)
    authenticate(side, intent, outcome)
    failed = api.find(f"/v1/payment_intents/{intent['id']}")
    assert failed["status"] == "requires_payment_method"
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert failed["latest_charge"] is None
    diary.tells(
        intent["id"],
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.payment_failed",
    )


@pytest.mark.fake_only(reason=NO_BANK)
@pytest.mark.parametrize(
    ("method", "decline_code"),
    [
        (
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
            "insufficient_funds",
        ),
        ("pm_card_threeDSecureRequiredChargeDeclined", "generic_decline"),
    ],
)
def test_some_cards_are_declined_after_authentication(
    api: Api, side: Side, diary: Diary, method: str, decline_code: str
) -> None:
    intent = pay(api, method)
    authenticate(side, intent, "complete")
    declined = api.find(f"/v1/payment_intents/{intent['id']}")
    assert declined["status"] == "requires_payment_method"
    assert declined["last_payment_error"]["decline_code"] == decline_code
    assert api.find(f"/v1/charges/{declined['latest_charge']}")["status"] == "failed"
    diary.last(intent["id"], "charge.failed")


@pytest.mark.fake_only(reason=NO_BANK)
@pytest.mark.parametrize(("button", "status"), [("complete", "succeeded"), ("fail", "failed")])
def test_the_page_sends_the_browser_back(api: Api, button: str, status: str) -> None:
    intent = pay(api, CARD, return_url=RETURN_URL)
    page = intent["next_action"]["redirect_to_url"]["url"]
    assert requests.get(page, timeout=10).status_code == 200
    answer = requests.post(page, data={"outcome": button}, timeout=10, allow_redirects=False)
    assert answer.status_code == 303
    back = urlsplit(answer.headers["Location"])
    assert answer.headers["Location"].startswith(RETURN_URL)
    assert parse_qs(back.query) == {
        "payment_intent": [intent["id"]],
        "payment_intent_client_secret": [intent["client_secret"]],
        "redirect_status": [status],
    }


@pytest.mark.fake_only(reason=NO_BANK)
def test_a_challenge_is_answered_once(api: Api, side: Side) -> None:
    intent = pay(api, CARD)
    authenticate(side, intent, "complete")
    with pytest.raises(requests.HTTPError):
        authenticate(side, intent, "fail")
    assert api.find(f"/v1/payment_intents/{intent['id']}")["status"] == "succeeded"


def test_an_optional_challenge_comes_only_when_asked_for(api: Api) -> None:
    assert pay(api, "pm_card_threeDSecureOptional")["status"] == "succeeded"
    payment = pay(
        api,
        "pm_card_threeDSecureOptional",
        **{"payment_method_options[card][request_three_d_secure]": "any"},
    )
    assert payment["status"] == "requires_action"


def test_what_must_not_ask_for_action_fails_instead(api: Api) -> None:
    answer = api.post(
        "/v1/payment_intents",
        {
            "amount": 500,
            "currency": "usd",
            "payment_method_types[]": "card",
            "payment_method": CARD,
            "confirm": "true",
            "error_on_requires_action": "true",
        },
    )
    assert answer.status == 402
    assert answer.error["code"] == "authentication_required"
