"""Refunds of old versions that release held money without saying so, so no money went back."""

from __future__ import annotations

from typing import Any

import pytest

from shared.payment_summary import amount_refunded
from tests.integration.hands import Hands
from tests.integration.money import BEFORE_BASIL, LONG_AGO, alone, charge, event, intent, refund
from tests.integration.money import notifications_of as bodies_of

Json = dict[str, Any]
CAPTURED_IN_PART = event("payment_intent.succeeded", intent(amount_received=1500))
HOLD = event(
    "payment_intent.amount_capturable_updated",
    intent(status="requires_capture", amount_capturable=2000),
)
CANCELED = event("payment_intent.canceled", intent(status="canceled"), created=LONG_AGO + 3) | {
    "api_version": BEFORE_BASIL
}
HELD_CHARGE = event(
    "charge.succeeded", charge(payment_intent=None, captured=False, amount_captured=0)
)


def old(event_type: str, **fields: Any) -> Json:
    """Return an event of a refund as versions before 2025-03-31 send it."""
    return event(event_type, refund(**fields), api_version=BEFORE_BASIL)


def types_of(hands: Hands, *events: Json) -> list[str]:
    return [body["type"] for body in bodies_of(hands, *events)]


@pytest.mark.parametrize("event_type", ["refund.created", "charge.refund.updated"])
def test_the_rest_of_a_partial_capture_is_no_refund(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, event_type: str
) -> None:
    alone(monkeypatch)
    rest = old(event_type, amount=500, balance_transaction=None)
    assert types_of(hands, CAPTURED_IN_PART, rest) == ["payment.succeeded"]
    assert amount_refunded(hands.runtime.payments.read("pi_1").known) == 0


@pytest.mark.parametrize("released_first", [True, False])
def test_a_hold_that_ends_is_no_refund_in_either_order(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, released_first: bool
) -> None:
    alone(monkeypatch)
    release = old("refund.created", amount=2000, balance_transaction=None)
    events = [release, CANCELED] if released_first else [CANCELED, release]
    assert types_of(hands, HOLD, *events) == ["payment.authorized", "payment.canceled"]
    assert amount_refunded(hands.runtime.payments.read("pi_1").known) == 0


def test_a_hold_of_a_charge_without_an_intent_is_no_refund(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    release = old("refund.created", amount=2000, payment_intent=None, balance_transaction=None)
    assert types_of(hands, HELD_CHARGE, release) == ["payment.authorized"]


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": 500, "balance_transaction": "txn_1"},
        {"amount": 400, "balance_transaction": None},
        {"amount": 500, "balance_transaction": None, "status": "pending"},
    ],
    ids=["it moved money", "of another amount", "under way"],
)
def test_a_refund_of_captured_money_is_told(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, fields: Json
) -> None:
    alone(monkeypatch)
    status = fields.get("status", "succeeded")
    types = types_of(hands, CAPTURED_IN_PART, old("refund.created", **fields))
    assert types == ["payment.succeeded", f"refund.{status}"]
