"""Amounts in notifications: refunds, fees, disputes, warnings, and look-ups that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.errors import BillingError, CallerError, Misconfigured
from shared.stripe.gateway import StripeGateway
from tests.integration.hands import Hands
from tests.integration.money import (
    LONG_AGO,
    again,
    alone,
    brief,
    charge,
    dispute,
    event,
    intent,
    notifications_of,
    refund,
    warning,
)

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process events without a wait for their payment; Stripe knows none of these objects."""
    alone(monkeypatch)


# When the key lacks a right, only additional fields are missing, never the fact.

REFUSALS = [
    CallerError("No access to this account.", status=403, code="account_invalid"),
    Misconfigured("A permission is missing.", code="stripe_permission_missing"),
    CallerError("No such thing.", status=404, code="resource_missing"),
]


@pytest.fixture(params=REFUSALS, ids=lambda refusal: refusal.code)
def look_ups_refuse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Stripe refuse every look-up."""
    refusal: BillingError = request.param

    def refuse(*_: object, **__: object) -> Json:
        raise refusal

    for name in ("payment", "charge", "balance_transaction", "refunds_of"):
        monkeypatch.setattr(StripeGateway, name, refuse)


@pytest.mark.usefixtures("look_ups_refuse")
@pytest.mark.parametrize(
    ("happened", "type_told"),
    [
        (event("refund.created", refund(balance_transaction="txn_1")), "refund.succeeded"),
        (event("refund.created", refund(payment_intent=None)), "refund.succeeded"),
        (event("charge.dispute.created", dispute()), "dispute.opened"),
        (event("charge.dispute.created", dispute(payment_intent=None)), "dispute.opened"),
    ],
)
def test_what_may_not_be_looked_up_is_told_without(
    hands: Hands, happened: Json, type_told: str
) -> None:
    assert brief(notifications_of(hands, again(happened))) == [(type_told,)]


@pytest.mark.usefixtures("look_ups_refuse")
def test_refunds_that_may_not_be_listed_are_told_as_their_charge_says(hands: Hands) -> None:
    bodies = notifications_of(
        hands,
        event("charge.refunded", charge(amount_refunded=500), {"amount_refunded": 0}),
        event("charge.refunded", charge(amount_refunded=800), {"amount_refunded": 500}),
    )
    assert brief(bodies, "refund_id", "amount", "amount_refunded") == [
        ("refund.succeeded", None, 500, 500),
        ("refund.succeeded", None, 300, 800),
    ]


@pytest.mark.usefixtures("look_ups_refuse")
def test_refunds_that_may_not_be_listed_are_told_once_when_their_own_events_came(
    hands: Hands,
) -> None:
    bodies = notifications_of(
        hands,
        event("refund.created", refund(amount=500)),
        event("charge.refunded", charge(amount_refunded=500), {"amount_refunded": 0}),
    )
    assert brief(bodies, "refund_id") == [("refund.succeeded", "re_1")]


@pytest.mark.usefixtures("look_ups_refuse")
def test_a_fee_that_may_not_be_read_is_not_told(hands: Hands) -> None:
    changed = event("charge.updated", charge(balance_transaction="txn_1"))
    assert notifications_of(hands, changed) == []


# Refunds: their times, and what they wait for.


def test_a_refund_that_is_learnt_late_carries_its_own_time(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = [refund(id="re_2", amount=300, created=LONG_AGO + 60), refund()]
    monkeypatch.setattr(StripeGateway, "refunds_of", lambda *_, **__: listing)
    late = {"created": LONG_AGO + 3600}
    changed = event("charge.refunded", charge(amount_refunded=1000), {"amount_refunded": 0}, **late)
    bodies = notifications_of(hands, changed)
    assert [(b["data"]["refund_id"], b["timestamp"]) for b in bodies] == [
        ("re_1", "2026-03-01T12:00:00Z"),
        ("re_2", "2026-03-01T12:01:00Z"),
    ]


@pytest.mark.parametrize("why", ["processing", "insufficient_funds", "charge_pending"])
def test_a_refund_that_waits_says_what_for(hands: Hands, why: str) -> None:
    waits = refund(status="pending", pending_reason=why)
    bodies = notifications_of(hands, event("refund.created", waits))
    assert brief(bodies, "pending_reason") == [("refund.pending", why)]


# Fees and net amounts.

BOOKED = {"fee": 88, "net": 1412, "currency": "sgd", "available_on": LONG_AGO + 86_400}


def test_the_fee_is_told_when_stripe_knows_it_and_once(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StripeGateway, "balance_transaction", lambda *_: dict(BOOKED))
    charge_with_fee = charge(amount_captured=1500, balance_transaction="txn_1")
    bodies = notifications_of(
        hands,
        event("payment_intent.succeeded", intent(amount_received=1500)),
        event("charge.updated", charge_with_fee, {"balance_transaction": None}),
        event("charge.updated", charge_with_fee, {"description": None}),
    )
    assert brief(bodies, "amount_received", "fee", "net", "settlement_currency") == [
        ("payment.succeeded", 1500, None, None, None),
        ("payment.settled", 1500, 88, 1412, "sgd"),
    ]
    assert bodies[-1]["data"]["available_on"] == "2026-03-02T12:00:00Z"


def test_a_fee_that_is_known_first_is_told_with_the_payment(hands: Hands) -> None:
    charge_with_fee = charge(balance_transaction=dict(BOOKED))
    bodies = notifications_of(
        hands,
        event("charge.captured", charge_with_fee),
        event("payment_intent.succeeded", intent(amount_received=2000)),
    )
    assert brief(bodies, "net") == [("payment.settled", 1412), ("payment.succeeded", 1412)]


def test_a_refund_says_what_it_costs(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = {"fee": 0, "net": -700, "currency": "usd", "available_on": LONG_AGO}
    monkeypatch.setattr(StripeGateway, "balance_transaction", lambda *_: rest)
    bodies = notifications_of(hands, event("refund.created", refund(balance_transaction="txn_1")))
    assert brief(bodies, "net", "settlement_currency") == [("refund.succeeded", -700, "usd")]


def test_a_refund_that_is_booked_later_says_what_it_costs_then(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def look(_: object, booked: str, account: str | None = None) -> Json:
        looks.append(booked)
        return {"fee": 0, "net": -700, "currency": "sgd"}

    monkeypatch.setattr(StripeGateway, "balance_transaction", look)
    booked = refund(balance_transaction="txn_1")
    bodies = notifications_of(
        hands,
        event("refund.created", refund(status="pending")),
        event("refund.updated", booked, {"status": "pending", "balance_transaction": None}),
        event("refund.updated", booked, {"metadata": {"a": None}}),
    )
    assert brief(bodies, "net") == [("refund.pending", None), ("refund.succeeded", -700)]
    assert looks == ["txn_1"]


# Disputes to which a person can respond.


def test_a_dispute_says_until_when_and_why(hands: Hands) -> None:
    bodies = notifications_of(hands, event("charge.dispute.created", dispute()))
    assert brief(bodies, "due_by", "reason", "net") == [
        ("dispute.opened", "2026-03-02T12:00:00Z", "fraudulent", None)
    ]


def test_a_dispute_sums_what_it_moved_in_the_currency_of_the_balance(hands: Hands) -> None:
    moved = [
        {"amount": -2150, "fee": 1500, "net": -3650, "currency": "sgd"},
        {"amount": -50, "fee": 0, "net": -50, "currency": "sgd"},
    ]
    withdrawn = dispute(status="lost", balance_transactions=moved)
    bodies = notifications_of(hands, event("charge.dispute.funds_withdrawn", withdrawn))
    assert brief(bodies, "amount", "currency", "fee", "net", "settlement_currency") == [
        ("dispute.funds_withdrawn", 2000, "eur", 1500, -3700, "sgd")
    ]


def test_a_dispute_of_the_oldest_versions_is_read_as_well(hands: Hands) -> None:
    one = {"amount": -2000, "fee": 1500, "net": -3500, "currency": "sgd"}
    oldest = dispute(evidence_due_by=LONG_AGO + 3600, balance_transaction=one)
    for name in ("evidence_details", "balance_transactions"):
        oldest.pop(name)
    bodies = notifications_of(
        hands, event("charge.dispute.created", oldest, api_version="2014-11-20")
    )
    assert brief(bodies, "due_by", "net") == [("dispute.opened", "2026-03-01T13:00:00Z", -3500)]


@pytest.mark.parametrize(
    "follower",
    [
        event("charge.dispute.created", dispute(payment_intent=None)),
        event("refund.created", refund(payment_intent=None)),
        event("refund.created", refund(payment_intent=None, charge=charge())),
    ],
)
def test_what_names_its_charge_alone_joins_the_charges_payment(
    hands: Hands, follower: Json
) -> None:
    payment = event("payment_intent.succeeded", intent(amount_received=2000))
    first, second = notifications_of(hands, payment, again(follower))
    assert second["data"]["payment_intent_id"] == "pi_1"
    assert second["data"]["event_id"] == "evening"
    assert (first["sequence"], second["sequence"]) == (1, 2)


def test_the_charges_payment_is_looked_up_when_nothing_was_heard_of_it(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StripeGateway, "charge", lambda *_: charge())
    (body,) = notifications_of(hands, event("charge.dispute.created", dispute(payment_intent=None)))
    assert body["data"]["payment_intent_id"] == "pi_1"


# Warnings and reviews.


def test_an_early_fraud_warning_is_told_and_stands_on_the_timeline(hands: Hands) -> None:
    created = event("radar.early_fraud_warning.created", warning())
    over = event("radar.early_fraud_warning.updated", warning(actionable=False))
    bodies = notifications_of(hands, created, over)
    assert brief(bodies, "status", "reason", "fraud_warning_id") == [
        ("payment.fraud_warning", "actionable", "made_with_stolen_card", "issfr_1"),
        ("payment.fraud_warning", "not_actionable", "made_with_stolen_card", "issfr_1"),
    ]
    timeline = hands.runtime.payments.timeline("pi_1")
    assert created["id"] in json.dumps(timeline)


def test_a_review_is_told_when_it_opens_and_how_it_closes(hands: Hands) -> None:
    opened = {
        "id": "prv_1",
        "object": "review",
        "charge": "ch_1",
        "payment_intent": None,
        "reason": "rule",
        "open": True,
        "opened_reason": "rule",
        "closed_reason": None,
    }
    closed = opened | {"open": False, "reason": "refunded", "closed_reason": "refunded"}
    bodies = notifications_of(
        hands,
        event("payment_intent.succeeded", intent(amount_received=2000)),
        event("review.opened", opened),
        event("review.closed", closed),
    )
    assert brief(bodies[1:], "reason", "payment_intent_id") == [
        ("payment.review_opened", "rule", "pi_1"),
        ("payment.review_closed", "refunded", "pi_1"),
    ]
