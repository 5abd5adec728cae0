"""What Stripe's objects say of money: received, given back, and what of it reached the balance.

One reading for events, answers and what is remembered, of every API version, in the currency's
smallest unit. A hold that is released is no refund: since 2025-03-31.basil Stripe makes none,
before that it made one over the released amount and counted it in `amount_refunded`.
"""

from __future__ import annotations

from typing import Any

from shared.stripe.event import reference

Json = dict[str, Any]
# Stripe's changelog: from this version on a released hold is no Refund.
NO_REFUND_OF_A_HOLD_SINCE = "2025-03-31"
# The reason of the Refund that older versions make of a hold that expires.
RELEASED_HOLD = "expired_uncaptured_charge"
# Refunds in these states count as given back; Stripe's `amount_refunded` counts likewise.
REFUNDED_STATES = ("pending", "requires_action", "succeeded")


def charge_of(intent: Json) -> str | None:
    """Name an intent's latest charge; versions before 2022-11-15 list them, newest first."""
    return reference(intent.get("latest_charge")) or reference(_newest_charge(intent))


def _newest_charge(intent: Json) -> Json:
    expanded = intent.get("latest_charge")
    if isinstance(expanded, dict):
        return expanded
    listed = items(intent.get("charges"))
    return listed[0] if listed else {}


def items(listed: object) -> list[Json]:
    """Give the members of a list object, or of the bare array of the oldest versions."""
    members = listed.get("data") if isinstance(listed, dict) else listed
    return [item for item in members if isinstance(item, dict)] if isinstance(members, list) else []


def received(intent: Json) -> int:
    """Give what came of a payment intent: what was captured, not what was authorised."""
    amount = intent.get("amount_received")
    return int(amount) if isinstance(amount, int) else captured(_newest_charge(intent))


def as_intent(charge: Json) -> Json:
    """Put a charge that has no payment intent into the form of one."""
    amount, came = int(charge.get("amount") or 0), captured(charge)
    held = charge.get("status") == "succeeded" and not charge.get("captured")
    return {
        "id": charge.get("id"),
        "status": intent_status(charge),
        "amount": amount,
        "amount_received": came,
        "amount_capturable": amount if held and not charge.get("refunded") else 0,
        "latest_charge": charge,
        **{name: charge.get(name) for name in ("currency", "created", "livemode", "description")},
        "metadata": charge.get("metadata") or {},
    }


def intent_status(charge: Json) -> str:
    """Give the status that a payment intent of such a charge would have."""
    status = str(charge.get("status"))
    if status != "succeeded":
        return {"pending": "processing", "failed": "requires_payment_method"}.get(status, status)
    if charge.get("captured"):
        return "succeeded"
    return "canceled" if charge.get("refunded") else "requires_capture"


def captured(charge: Json) -> int:
    """Give what was captured of a charge; versions without `amount_captured` capture it whole."""
    if not charge.get("captured") or charge.get("status") == "failed":
        return 0
    amount = charge.get("amount_captured")
    return int((charge.get("amount") if amount is None else amount) or 0)


def releases_a_hold(refund: Json) -> bool:
    """Say whether a refund only releases money that was held, as far as it says so itself."""
    charge = refund.get("charge")
    held = isinstance(charge, dict) and charge.get("captured") is False
    return held or refund.get("reason") == RELEASED_HOLD


def moved_nothing(refund: Json, api_version: str | None) -> bool:
    """Say whether a refund of an old version succeeded without a balance transaction.

    Then it may release held money without saying so: others say how much was held.
    """
    old = bool(api_version) and str(api_version) < NO_REFUND_OF_A_HOLD_SINCE
    booked = refund.get("balance_transaction", True)
    return old and booked is None and refund.get("status") == "succeeded"


def released(charge: Json, api_version: str | None) -> int:
    """Give how much of `amount_refunded` an old version counts that was never captured."""
    if not api_version or api_version >= NO_REFUND_OF_A_HOLD_SINCE:
        return 0
    return max(0, int(charge.get("amount") or 0) - captured(charge))


def given_back(charge: Json, refunds: list[Json]) -> int:
    """Sum what was refunded, or is being refunded, of captured money."""
    counted = sum(
        int(refund.get("amount") or 0)
        for refund in refunds
        if refund.get("status") in REFUNDED_STATES and not releases_a_hold(refund)
    )
    return min(counted, captured(charge))


def moved(transactions: Any) -> Json:
    """Sum what balance transactions moved: `fee`, `net`, `settlement_currency`, `available_on`.

    Takes one or a list, expanded; empty when there is none, or when they are of several
    currencies. The settlement currency may differ from the payment's.
    """
    movements = [transactions] if isinstance(transactions, dict) else items(transactions)
    known = [one for one in movements if isinstance(one.get("net"), int)]
    if not known or len({one.get("currency") for one in known}) > 1:
        return {}
    times = [one["available_on"] for one in known if isinstance(one.get("available_on"), int)]
    return {
        "fee": sum(int(one.get("fee") or 0) for one in known),
        "net": sum(one["net"] for one in known),
        "settlement_currency": known[0].get("currency"),
        "available_on": max(times, default=None),
    }
