"""Restricted keys: a key with a list of rights gets Stripe's 403 for every other call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from tests.contract.client import Api
from tests.contract.side import Side

pytestmark = pytest.mark.fake_only(reason="a test account's restricted keys are made by hand")
Fresh = Callable[..., tuple[Side, Api]]
KEY = "rk_test_contract_0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PAY = {"amount": 500, "currency": "usd", "confirm": "true", "return_url": "https://a.example"}


def restrict(side: Side, *rights: str) -> None:
    side.control("keys", api_key=KEY, rights=list(rights))


def test_a_call_without_its_right_is_refused_before_it_has_an_effect(
    fresh_sandbox: Fresh,
) -> None:
    side, api = fresh_sandbox()
    restrict(side, "rak_payment_intent_read", "rak_event_read")
    form = PAY | {"payment_method": "pm_card_visa"}
    answer = requests.post(
        f"{side.url}/v1/payment_intents",
        form,
        headers=HEADERS | {"Idempotency-Key": "first"},
        timeout=5,
    )
    error = answer.json()["error"]
    assert (answer.status_code, set(error)) == (403, {"type", "message"})
    assert error["type"] == "invalid_request_error"
    assert KEY not in error["message"]
    assert "Having the 'rak_payment_intent_write' permission would allow" in error["message"]
    assert api.get("/v1/payment_intents").body["data"] == []
    restrict(side, "rak_payment_intent_write")
    again = requests.post(
        f"{side.url}/v1/payment_intents",
        form,
        headers=HEADERS | {"Idempotency-Key": "first"},
        timeout=5,
    )
    assert again.status_code == 200, "a refusal is not kept for the key"


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/v1/payment_intents", "rak_payment_intent_read"),
        ("/v1/refunds", "rak_charge_read"),
        ("/v1/charges", "rak_charge_read"),
        ("/v1/events", "rak_event_read"),
        ("/v1/disputes", "rak_dispute_read"),
        ("/v1/balance", "rak_balance_read"),
        ("/v1/balance_transactions", "rak_balance_transaction_source_read"),
        ("/v1/checkout/sessions", "rak_checkout_session_read"),
        ("/v1/webhook_endpoints", "rak_webhook_read"),
    ],
)
def test_each_right_permits_its_own_calls_only(fresh_sandbox: Fresh, path: str, right: str) -> None:
    side, _ = fresh_sandbox()

    def status() -> int:
        return requests.get(f"{side.url}{path}", headers=HEADERS, timeout=5).status_code

    restrict(side)
    assert status() == 403
    for sufficient in (right, right.replace("read", "write")):
        restrict(side, sufficient)
        assert status() == 200
    side.forget("keys")
    assert status() == 200, "a key without a list has all rights"


def test_an_expanded_field_needs_a_right_of_its_own(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox()
    intent = api.make("/v1/payment_intents", PAY | {"payment_method": "pm_card_visa"})
    charge = f"{side.url}/v1/charges/{intent['latest_charge']}"
    expand = {"expand[]": "balance_transaction"}
    restrict(side, "rak_charge_read")
    assert requests.get(charge, headers=HEADERS, timeout=5).status_code == 200
    assert requests.get(charge, expand, headers=HEADERS, timeout=5).status_code == 403
    restrict(side, "rak_charge_read", "rak_balance_transaction_source_read")
    assert requests.get(charge, expand, headers=HEADERS, timeout=5).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"api_key": "sk_test_contract_0123456789", "rights": []},
        {"api_key": KEY, "rights": ["rak_everything"]},
        {"api_key": KEY, "rights": "rak_event_read"},
        {"api_key": KEY},
    ],
)
def test_an_unknown_key_or_right_is_named(fresh_sandbox: Fresh, body: dict[str, object]) -> None:
    side, _ = fresh_sandbox()
    answer = requests.post(f"{side.url}/_sandbox/keys", json=body, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in ("api_key", "rights")
