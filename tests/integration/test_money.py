"""Amounts in notifications: the amount received, and released holds, which are no refunds."""

from __future__ import annotations

from typing import Any

import pytest

from shared.payment_summary import amount_refunded
from shared.stripe.gateway import API_VERSION, StripeGateway
from tests.integration.hands import Hands
from tests.integration.money import (
    BEFORE_BASIL,
    alone,
    brief,
    charge,
    event,
    intent,
    notifications_of,
    refund,
)

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process events without a wait for their payment; Stripe knows none of these objects."""
    alone(monkeypatch)


# The amount received, not the amount requested.


@pytest.mark.parametrize("received", [1500, 2000, 2300])
def test_a_capture_is_told_with_what_came(hands: Hands, received: int) -> None:
    captured = intent(amount_received=received)
    bodies = notifications_of(hands, event("payment_intent.succeeded", captured))
    assert brief(bodies, "amount", "amount_received") == [("payment.succeeded", 2000, received)]
    stale = hands.runtime.payments.read("pi_1").state["snapshot"]
    assert stale["amount_received"] == received


def test_each_partial_capture_is_told_and_none_is_a_second_authorisation(hands: Hands) -> None:
    hold = intent(amount=3000, status="requires_capture")
    changed = "payment_intent.amount_capturable_updated"
    bodies = notifications_of(
        hands,
        event(changed, hold | {"amount_capturable": 3000}),
        event(changed, hold | {"amount_capturable": 2000, "amount_received": 1000}),
        event(changed, hold | {"amount_capturable": 500, "amount_received": 2500}),
        event("payment_intent.succeeded", intent(amount=3000, amount_received=2500)),
    )
    assert brief(bodies, "amount_received", "amount_capturable") == [
        ("payment.authorized", 0, 3000),
        ("payment.partially_captured", 1000, 2000),
        ("payment.partially_captured", 2500, 500),
        ("payment.succeeded", 2500, 0),
    ]


def test_an_old_event_names_its_charge_and_what_was_captured_in_its_list(hands: Hands) -> None:
    listing = {"object": "list", "data": [charge(amount_captured=1500)]}
    old = intent(charges=listing)
    del old["latest_charge"], old["amount_received"]
    bodies = notifications_of(
        hands, event("payment_intent.succeeded", old, api_version="2018-05-21")
    )
    assert brief(bodies, "charge_id", "amount_received") == [("payment.succeeded", "ch_1", 1500)]


def test_a_charge_without_an_intent_is_told_with_what_was_captured(hands: Hands) -> None:
    alone = charge(payment_intent=None, amount_captured=1200)
    bodies = notifications_of(hands, event("charge.captured", alone))
    assert brief(bodies, "amount", "amount_received") == [("payment.succeeded", 2000, 1200)]


# A released hold is no refund.


@pytest.mark.parametrize("reason", ["automatic", "expired", "requested_by_customer", None])
def test_a_canceled_payment_says_why(hands: Hands, reason: str | None) -> None:
    canceled = intent(status="canceled", cancellation_reason=reason)
    bodies = notifications_of(hands, event("payment_intent.canceled", canceled))
    assert brief(bodies, "cancellation_reason", "amount_received", "amount_refunded") == [
        ("payment.canceled", reason, 0, 0)
    ]


@pytest.mark.parametrize("version", [API_VERSION, BEFORE_BASIL])
@pytest.mark.parametrize(
    "released",
    [
        refund(amount=2000, reason="expired_uncaptured_charge"),
        refund(amount=2000, charge=charge(captured=False, amount_captured=0)),
    ],
)
def test_a_refund_of_a_hold_is_not_told(hands: Hands, released: Json, version: str) -> None:
    bodies = notifications_of(hands, event("refund.created", released, api_version=version))
    assert bodies == []
    assert remembered_refunds(hands) == 0


def test_a_refund_of_a_canceled_payment_is_not_told_whatever_its_reason(hands: Hands) -> None:
    canceled = intent(status="canceled", cancellation_reason="automatic")
    bodies = notifications_of(
        hands,
        event("payment_intent.canceled", canceled),
        event("refund.created", refund(amount=2000), api_version=BEFORE_BASIL),
    )
    assert brief(bodies) == [("payment.canceled",)]
    assert remembered_refunds(hands) == 0


def test_a_refund_of_a_charge_whose_hold_was_released_is_not_told(hands: Hands) -> None:
    hold = charge(captured=False, amount_captured=0)
    let_go = hold | {"refunded": True, "amount_refunded": 2000}
    bodies = notifications_of(
        hands,
        event("charge.succeeded", hold),
        event("charge.refunded", let_go, {"refunded": False}, api_version=BEFORE_BASIL),
        event("refund.created", refund(amount=2000), api_version=BEFORE_BASIL),
    )
    assert bodies == []
    assert remembered_refunds(hands) == 0


@pytest.mark.parametrize("intent_id", [None, "pi_1"])
def test_a_refund_of_a_charge_that_stripe_shows_as_let_go_is_not_told(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, intent_id: str | None
) -> None:
    let_go = charge(payment_intent=intent_id, captured=False, amount_captured=0, refunded=True)
    monkeypatch.setattr(StripeGateway, "charge", lambda *_: let_go)
    canceled = intent(status="canceled", latest_charge=let_go)
    monkeypatch.setattr(StripeGateway, "payment", lambda *_: canceled)
    released = refund(amount=2000, payment_intent=None)
    assert (
        notifications_of(hands, event("refund.created", released, api_version=BEFORE_BASIL)) == []
    )


def test_a_refund_of_a_payment_that_stripe_shows_as_canceled_is_not_told(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StripeGateway, "payment", lambda *_: intent(status="canceled"))
    assert notifications_of(hands, event("refund.created", refund(amount=2000))) == []


def test_the_rest_of_a_partial_capture_is_no_refund_in_old_events(hands: Hands) -> None:
    part = charge(amount_captured=1500, amount_refunded=500)
    released = event("charge.refunded", part, {"amount_refunded": 0}, api_version=BEFORE_BASIL)
    assert notifications_of(hands, released) == []


def test_a_refund_after_a_partial_capture_is_told_without_the_released_rest(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = refund(id="re_rest", amount=500)
    monkeypatch.setattr(StripeGateway, "refunds_of", lambda *_, **__: [refund(amount=300), rest])
    part = charge(amount_captured=1500, amount_refunded=800)
    changed = event("charge.refunded", part, {"amount_refunded": 500}, api_version=BEFORE_BASIL)
    bodies = notifications_of(hands, changed)
    assert brief(bodies, "refund_id", "amount_refunded") == [("refund.succeeded", "re_1", 300)]


def test_a_refund_of_captured_money_is_told_though_the_capture_is_heard_late(hands: Hands) -> None:
    hold = charge(captured=False, amount_captured=0)
    bodies = notifications_of(
        hands, event("charge.succeeded", hold), event("refund.created", refund())
    )
    assert brief(bodies, "amount_refunded") == [("refund.succeeded", 700)]


def test_the_released_hold_of_a_charge_without_an_intent_is_told_as_canceled(hands: Hands) -> None:
    hold = charge(payment_intent=None, captured=False, amount_captured=0)
    let_go = hold | {"refunded": True, "amount_refunded": 2000}
    bodies = notifications_of(
        hands,
        event("charge.succeeded", hold),
        event("charge.refunded", let_go, {"refunded": False, "amount_refunded": 0}),
        event("charge.expired", hold),
    )
    assert brief(bodies, "amount_received", "amount_refunded") == [
        ("payment.authorized", 0, 0),
        ("payment.canceled", 0, 0),
    ]


def remembered_refunds(hands: Hands) -> int:
    return amount_refunded(hands.runtime.payments.read("pi_1").known)


# Unusual forms that exist.


def test_refunds_of_the_oldest_versions_are_a_bare_array(hands: Hands) -> None:
    oldest = {name: value for name, value in refund(amount=300).items() if name != "status"}
    bare = charge(amount_refunded=300, refunds=[oldest])
    version = {"api_version": "2014-03-28"}
    bodies = notifications_of(
        hands, event("charge.refunded", bare, {"amount_refunded": 0}, **version)
    )
    assert brief(bodies, "refund_id", "amount") == [("refund.succeeded", "re_1", 300)]


def test_a_time_beyond_the_calendar_is_told_as_its_end(hands: Hands) -> None:
    far = event("payment_intent.succeeded", intent(amount_received=1), created=2**53 - 1)
    (body,) = notifications_of(hands, far)
    assert body["timestamp"] == "9999-12-31T23:59:59Z"


def test_an_object_without_an_id_is_ignored(hands: Hands) -> None:
    nameless = refund(id=None)
    assert notifications_of(hands, event("refund.created", nameless)) == []
