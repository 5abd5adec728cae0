"""The official Python SDK, as the service uses it."""

from __future__ import annotations

import secrets

import pytest
import stripe

from tests.contract.witness import Witness


def test_a_payment_and_its_refund(sdk: stripe.StripeClient) -> None:
    intent = sdk.v1.payment_intents.create(
        {
            "amount": 2099,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"event_id": "E1"},
            "expand": ["latest_charge"],
        }
    )
    assert intent.status == "succeeded"
    assert isinstance(intent.latest_charge, stripe.Charge)
    refund = sdk.v1.refunds.create({"payment_intent": intent.id, "amount": 99})
    assert (refund.status, refund.amount) == ("succeeded", 99)
    again = sdk.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert isinstance(again.latest_charge, stripe.Charge)
    assert again.latest_charge.amount_refunded == 99


def test_a_decline_is_a_card_error(sdk: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError) as error:
        sdk.v1.payment_intents.create(
            {
                "amount": 2000,
                "currency": "usd",
                "payment_method": "pm_card_chargeDeclinedInsufficientFunds",
                "confirm": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            }
        )
    assert error.value.code == "card_declined"
    assert error.value.error.decline_code == "insufficient_funds"
    assert error.value.error.payment_intent["status"] == "requires_payment_method"
    assert error.value.http_status == 402


def test_errors_map_to_their_classes(sdk: stripe.StripeClient, witness: Witness) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        sdk.v1.payment_intents.retrieve("pi_nope")
    key: stripe.RequestOptions = {"idempotency_key": "sdk-" + secrets.token_hex(8)}
    sdk.v1.payment_intents.create({"amount": 500, "currency": "usd"}, key)
    with pytest.raises(stripe.IdempotencyError):
        sdk.v1.payment_intents.create({"amount": 600, "currency": "usd"}, key)
    stranger = stripe.StripeClient("sk_nonsense_12345", base_addresses={"api": witness.url})
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.payment_intents.list()


def test_auto_paging_sees_everything(sdk: stripe.StripeClient) -> None:
    customer = sdk.v1.customers.create({"email": "jenny@example.com"})
    ids = [
        sdk.v1.payment_intents.create(
            {"amount": 500, "currency": "usd", "customer": customer.id}
        ).id
        for _ in range(5)
    ]
    listing = sdk.v1.payment_intents.list({"customer": customer.id, "limit": 2})
    assert [intent.id for intent in listing.auto_paging_iter()] == ids[::-1]


def test_events_are_typed(sdk: stripe.StripeClient) -> None:
    intent = sdk.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    events = sdk.v1.events.list({"types": ["payment_intent.created"], "limit": 20})
    mine = next(e for e in events.data if e.data.object["id"] == intent.id)
    assert isinstance(mine, stripe.Event)
