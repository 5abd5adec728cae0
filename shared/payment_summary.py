"""A summary of a payment: status, metadata and movements of the balance. Pure.

Lists show it, and the index of payments is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.facts import amount_refunded, context, disputes, fees
from shared.stripe import amounts

Json = dict[str, Any]
# Sources of a payment's status, the best first.
TELLERS = ("payment", "charge", "checkout")


@dataclass(frozen=True)
class PaymentSummary:
    """The state of one payment; amounts in the currency's smallest unit, times in Unix seconds.

    `status` is that of Stripe's payment intents, also when only the charge is known; None when
    neither is. `dispute` is the latest one.
    """

    id: str
    status: str | None
    amount: int | None
    amount_received: int | None
    amount_refunded: int
    currency: str | None
    charge_id: str | None
    created: int
    livemode: bool | None
    description: str | None
    customer_email: str | None
    account: str | None
    metadata: dict[str, str]
    dispute: Json | None
    fee: int | None
    net: int | None
    settlement_currency: str | None


def summarise(payment_id: str, known: Json) -> PaymentSummary:
    """Summarise the state of a payment (`shared/facts.py`)."""
    intent, owner, moved = remembered_intent(payment_id, known), context(known), fees(known)
    named = {name: owner[name] for name in ("event_id", "user_id") if name in owner}
    return PaymentSummary(
        id=payment_id,
        status=intent["status"],
        amount=intent.get("amount"),
        amount_received=intent.get("amount_received"),
        amount_refunded=amount_refunded(known),
        currency=intent.get("currency"),
        charge_id=intent["charge_id"],
        created=intent["created"],
        livemode=intent.get("livemode"),
        description=intent.get("description"),
        customer_email=owner.get("customer_email"),
        account=owner.get("account"),
        metadata=_texts(named | (intent.get("metadata") or {})),
        dispute=next(iter(disputes(known)), None),
        fee=moved["fee"],
        net=moved["net"],
        settlement_currency=moved["settlement_currency"],
    )


def remembered_intent(payment_id: str, known: Json) -> Json:
    """Give the state of a payment in the form of an intent; its status is None if unknown.

    The state comes from its own events, else from those of its charge or its checkout session.
    """
    standing = _standing(known)
    snapshot, status = standing.get("snapshot", {}), standing.get("status")
    if standing.get("family") == "charge":
        intent = _of_charge(snapshot | {"status": status})
    elif standing.get("family") == "checkout":
        intent = snapshot | {"status": None}
    else:
        intent = snapshot | {"status": snapshot.get("status") or status}
    charge_id, created = _charge_id(payment_id, known, snapshot), _created(known, snapshot)
    return intent | {"id": payment_id, "charge_id": charge_id, "created": created}


def _standing(known: Json) -> Json:
    """Give the latest state from the best source of the payment's status."""
    for family in TELLERS:
        of_family = [state for _, state in _subjects(known) if state["family"] == family]
        if of_family:
            return max(of_family, key=lambda state: list(state["rank"]))
    return {}


def _of_charge(charge: Json) -> Json:
    intent = amounts.as_intent(charge) | {"amount": charge.get("amount")}
    return amounts.let_go(intent) if charge.get("let_go") else intent


def _texts(metadata: Json) -> dict[str, str]:
    return {str(key): str(value) for key, value in metadata.items() if value is not None}


def _charge_id(payment_id: str, known: Json, snapshot: Json) -> str | None:
    if snapshot.get("charge_id"):
        return str(snapshot["charge_id"])
    of_family = [name for name, one in _subjects(known) if one["family"] == "charge"]
    return payment_id if payment_id.startswith("ch_") else next(iter(of_family), None)


def _created(known: Json, snapshot: Json) -> int:
    """Give the time at which it was made; until its own event comes, the earliest known second."""
    if isinstance(snapshot.get("created"), int):
        return int(snapshot["created"])
    spoken = [one["snapshot"].get("created") or max(one["rank"][:2]) for _, one in _subjects(known)]
    return min((int(at) for at in spoken), default=0)


def _subjects(known: Json) -> list[tuple[str, Json]]:
    return list(known.get("subjects", {}).items())
