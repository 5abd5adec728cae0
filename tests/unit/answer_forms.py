"""A refund in Stripe's form, the answer about it, and changes of the balance in both forms."""

from __future__ import annotations

from typing import Any, cast

from shared.refund_metadata import FIELD

Json = dict[str, Any]
JOB = f"rr_{'0' * 32}"
NO_SUMS = dict.fromkeys(("fee", "net", "settlement_currency", "available_on"))
MOVED = {"fee": 84, "net": 916, "currency": "sgd", "available_on": 1_772_539_200}
SUMS = {"fee": 84, "net": 916, "settlement_currency": "sgd"}
BALANCE_CHANGE_ANSWER = SUMS | {"available_on": "2026-03-03T12:00:00Z"}
REFUND = {
    "id": "re_1",
    "status": "succeeded",
    "amount": 300,
    "currency": "sgd",
    "reason": "duplicate",
    "payment_intent": "pi_1",
    "charge": "ch_1",
    "failure_reason": "lost_card",
    "failure_message": "The card was lost.",
    "pending_reason": "processing",
    "created": 60,
    "metadata": {"seat": "7", FIELD: JOB},
}
REFUND_ANSWER = {
    "refund_request_id": None,
    "refund_id": "re_1",
    "status": "succeeded",
    "amount": 300,
    "currency": "sgd",
    "reason": "duplicate",
    "payment_intent_id": "pi_1",
    "charge_id": "ch_1",
    "failure_reason": "lost_card",
    "failure_message": "The card was lost.",
    "pending_reason": "processing",
    "account": None,
    "attempts": 0,
    "created": 60,
    "metadata": {"seat": "7"},
} | NO_SUMS


def as_sent(answer: Any) -> Json:
    """Return an answer as it is sent."""
    return cast(Json, answer.model_dump())


def without(whole: Json, *names: str) -> Json:
    """Leave fields out."""
    return {name: value for name, value in whole.items() if name not in names}
