"""Stripe's objects and events about one payment, made by hand, and their notifications."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from shared.errors import CallerError
from shared.stripe.gateway import API_VERSION, StripeGateway
from shared.work.kinds import EVENTS
from tests.integration.hands import Hands

Json = dict[str, Any]
# Where look-ups are refused, the service waits for the refunds' own events; all of these are older.
LONG_AGO = 1_772_366_400
BEFORE_BASIL = "2024-10-28.acacia"
_numbers = itertools.count(1)


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process events without a wait for their payment; Stripe knows none of these objects."""
    monkeypatch.setattr("worker.events.PAYMENT_PATIENCE_SECONDS", 0.0)
    for name in ("payment", "charge", "balance_transaction", "refunds_of"):
        monkeypatch.setattr(StripeGateway, name, _missing)


def _missing(*_: object, **__: object) -> Json:
    raise CallerError("No such thing.", status=404, code="resource_missing")


def again(happened: Json) -> Json:
    """Return the event with a new id."""
    return happened | {"id": f"evt_money{next(_numbers)}"}


def event(event_type: str, obj: Json, previous: Json | None = None, **changes: Any) -> Json:
    data: Json = {"object": obj} | ({"previous_attributes": previous} if previous else {})
    defaults = {
        "id": f"evt_money{next(_numbers)}",
        "object": "event",
        "type": event_type,
        "api_version": API_VERSION,
        "created": LONG_AGO,
        "livemode": False,
        "data": data,
    }
    return defaults | changes


def intent(**changes: Any) -> Json:
    defaults = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 2000,
        "amount_capturable": 0,
        "amount_received": 0,
        "currency": "sgd",
        "status": "succeeded",
        "created": LONG_AGO,
        "latest_charge": "ch_1",
        "metadata": {"event_id": "evening"},
    }
    return defaults | changes


def charge(**changes: Any) -> Json:
    defaults = {
        "id": "ch_1",
        "object": "charge",
        "amount": 2000,
        "amount_captured": 2000,
        "amount_refunded": 0,
        "captured": True,
        "currency": "sgd",
        "status": "succeeded",
        "refunded": False,
        "payment_intent": "pi_1",
        "metadata": {},
    }
    return defaults | changes


def refund(**changes: Any) -> Json:
    defaults = {
        "id": "re_1",
        "object": "refund",
        "amount": 700,
        "currency": "sgd",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "status": "succeeded",
        "created": LONG_AGO,
        "reason": None,
        "metadata": {},
    }
    return defaults | changes


def dispute(**changes: Any) -> Json:
    defaults = {
        "id": "du_1",
        "object": "dispute",
        "amount": 2000,
        "currency": "eur",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "status": "needs_response",
        "reason": "fraudulent",
        "evidence_details": {"due_by": LONG_AGO + 86_400},
        "metadata": {},
        "balance_transactions": [],
    }
    return defaults | changes


def notifications_of(hands: Hands, *events: Json) -> list[Json]:
    """Deliver events, each processed before the next; return all notifications.

    `Hands` validates each notification by the schema that the API serves for its type.
    """
    for one in events:
        assert hands.post_event(one).status_code == 200
        hands.work()
        assert hands.runtime.store.redis.zcard(hands.runtime.store.keys.dead(EVENTS)) == 0
    return [item["body"] for item in hands.notifications(with_fees=True)]


def brief(bodies: list[Json], *fields: str) -> list[tuple[Any, ...]]:
    return [(body["type"], *(body["data"][name] for name in fields)) for body in bodies]


def warning(**changes: Any) -> Json:
    defaults = {
        "id": "issfr_1",
        "object": "radar.early_fraud_warning",
        "actionable": True,
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "fraud_type": "made_with_stolen_card",
    }
    return defaults | changes
