"""Read amounts from Stripe's objects: received, refunded, and changes of the balance.

Events, answers and stored states, of every API version, are read by the same functions, in the
currency's smallest unit. Releasing held money is no refund: since 2025-03-31.basil Stripe makes
none, before that it made one of the released amount and counted it in `amount_refunded`.
"""

from __future__ import annotations

from typing import Any

from shared.stripe.event import items, newest_charge

Json = dict[str, Any]
# Stripe's changelog: from this version on a released hold is no Refund.
NO_REFUND_OF_A_HOLD_SINCE = "2025-03-31"
# The reason of the Refund that older versions make of a hold that expires.
RELEASED_HOLD = "expired_uncaptured_charge"
# Refunds in these states count as given back; Stripe's `amount_refunded` counts likewise.
REFUNDED_STATES = ("pending", "requires_action", "succeeded")
# Of these Stripe books the money back, in a balance transaction of its own.
RETURNED_STATES = ("failed", "canceled")
# What became of the money, by the final state of a refund; the others may still change.
OUTCOMES = {
    "succeeded": "refunded",
    "failed": "failed",
    "canceled": "failed",
}
# The status of an object whose status Stripe does not tell: it is null, which its API allows of a
# refund. It is no state of any object, so it notifies nothing and ends nothing.
UNKNOWN = "unknown"


def received(intent: Json) -> int:
    """Return the amount received of a payment intent: captured, not authorised.

    An intent with neither this amount nor a charge was received in full if it succeeded.
    """
    amount = intent.get("amount_received")
    if isinstance(amount, int):
        return amount
    whole = {"amount": intent.get("amount"), "captured": intent.get("status") == "succeeded"}
    return captured(newest_charge(intent) or whole)


def as_intent(charge: Json) -> Json:
    """Put a charge that has no payment intent into the form of one."""
    amount, status = int(charge.get("amount") or 0), intent_status(charge)
    # A debit under way counts as captured, though no money has come yet.
    came = 0 if status == "processing" else captured(charge)
    return {
        "id": charge.get("id"),
        "status": status,
        "amount": amount,
        "amount_received": came,
        "amount_capturable": amount - came if status == "requires_capture" else 0,
        "latest_charge": charge,
        **{name: charge.get(name) for name in ("currency", "created", "livemode", "description")},
        "metadata": charge.get("metadata") or {},
    }


def let_go(intent: Json) -> Json:
    """Clear the amount held of an intent, as its events say: Stripe's charge may not show it."""
    return intent | {"status": "canceled", "amount_capturable": 0}


def intent_status(charge: Json) -> str:
    """Return the status that a payment intent of such a charge would have."""
    status = str(charge.get("status") or UNKNOWN)
    if status != "succeeded":
        return {"pending": "processing", "failed": "requires_payment_method"}.get(status, status)
    if charge.get("captured"):
        return "succeeded"
    return "canceled" if charge.get("refunded") else "requires_capture"


def captured(charge: Json) -> int:
    """Return the amount captured of a charge; versions without `amount_captured` capture all of it.

    Of several captures the last one makes it `captured`.
    """
    if charge.get("status") == "failed":
        return 0
    amount = charge.get("amount_captured")
    if amount is None:
        amount = charge.get("amount") if charge.get("captured") else 0
    return int(amount or 0)


def refund_status(refund: Json) -> str:
    """Return the status of a refund; of the oldest API versions, which have none, `succeeded`."""
    return str(refund.get("status", "succeeded") or UNKNOWN)


def refund_outcome(refund: Json) -> str:
    """Return what became of a refund: `refunded`, `failed`, or `pending` while that is open."""
    return OUTCOMES.get(refund_status(refund), "pending")


def releases_a_hold(refund: Json) -> bool:
    """Say whether a refund states that it only releases held money."""
    charge = refund.get("charge")
    expanded = charge if isinstance(charge, dict) else {}
    held = expanded.get("captured") is False and not captured(expanded)
    return held or refund.get("reason") == RELEASED_HOLD


def moved_nothing(refund: Json, api_version: str | None) -> bool:
    """Say whether a refund of an old version succeeded without a balance transaction.

    Such a refund may release held money without saying so: other objects show the amount held.
    """
    old = bool(api_version) and str(api_version) < NO_REFUND_OF_A_HOLD_SINCE
    booked = refund.get("balance_transaction", True)
    return old and booked is None and refund.get("status") == "succeeded"


def released(charge: Json, api_version: str | None) -> int:
    """Return the part of an old version's `amount_refunded` that was never captured."""
    if not api_version or api_version >= NO_REFUND_OF_A_HOLD_SINCE:
        return 0
    if captured(charge) and not charge.get("captured"):
        return 0  # the rest is still held
    return max(0, int(charge.get("amount") or 0) - captured(charge))


def of_captured_money(charge: Json, refunds: list[Json]) -> list[Json]:
    """Leave out of a charge's refunds, newest first, those that only released held money.

    The first refund is such a one if its amount is the part held and not captured, it has no
    reason, and it did not change the balance, or all refunds together are above the captured
    amount.
    """
    if not captured(charge):
        return []
    rest = [refund for refund in refunds if not releases_a_hold(refund)]
    first = rest[-1] if rest else {}
    if first.get("reason") or first.get("amount") != _uncaptured(charge):
        return rest
    moved_none = first.get("balance_transaction", True) is None
    return rest[:-1] if moved_none or _sum_refunded(rest) > captured(charge) else rest


def _uncaptured(charge: Json) -> int:
    """Return the amount held of a charge that can no longer be captured."""
    rest = int(charge.get("amount") or 0) - captured(charge)
    return rest if charge.get("captured") else 0


def given_back(charge: Json, refunds: list[Json]) -> int:
    """Sum the captured money that is refunded or being refunded."""
    return min(_sum_refunded(of_captured_money(charge, refunds)), captured(charge))


def _sum_refunded(refunds: list[Json]) -> int:
    effective = (refund for refund in refunds if refund.get("status") in REFUNDED_STATES)
    return sum(int(refund.get("amount") or 0) for refund in effective)


def refund_change(refund: Json) -> Json:
    """Sum what a refund took from the balance; empty when unknown, or when it came back."""
    if refund.get("status") in RETURNED_STATES:
        return {}
    return balance_change(refund.get("balance_transaction"))


def balance_change(transactions: Any) -> Json:
    """Sum balance transactions: `fee`, `net`, `settlement_currency`, `available_on`.

    Takes one or a list, expanded; empty when there is none, or when they have several currencies.
    The settlement currency may differ from the payment's.
    """
    single = isinstance(transactions, dict) and "data" not in transactions
    movements = [transactions] if single else items(transactions)
    complete = [one for one in movements if isinstance(one.get("net"), int)]
    if not complete or len({one.get("currency") for one in complete}) > 1:
        return {}
    times = [one["available_on"] for one in complete if isinstance(one.get("available_on"), int)]
    return {
        "fee": sum(int(one.get("fee") or 0) for one in complete),
        "net": sum(one["net"] for one in complete),
        "settlement_currency": complete[0].get("currency"),
        "available_on": max(times, default=None),
    }
