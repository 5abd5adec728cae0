"""A payment in one flat shape: how it stands, whose it is, what it moved. All of it is pure.

Lists show it, the index of payments is made from it, and both read what is known in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.facts import amount_refunded, context, disputes, fees
from shared.stripe.amounts import intent_status

Json = dict[str, Any]
# Whose word on how a payment stands counts, best first.
TELLERS = ("payment", "charge", "checkout")


@dataclass(frozen=True)
class PaymentSummary:
    """What is known of one payment; amounts in the currency's smallest unit, times in Unix seconds.

    `status` is Stripe's of a payment intent, also where only its charge is known; None where
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
    """Put what is known of a payment (`shared/facts.py`) into one flat shape."""
    standing, owner, moved = _standing(payment_id, known), context(known), fees(known)
    snapshot = standing.get("snapshot", {})
    named = {name: owner[name] for name in ("event_id", "user_id") if name in owner}
    return PaymentSummary(
        id=payment_id,
        status=_status(standing),
        amount=snapshot.get("amount"),
        amount_received=snapshot.get("amount_received"),
        amount_refunded=amount_refunded(known),
        currency=snapshot.get("currency"),
        charge_id=_charge_id(payment_id, known, snapshot),
        created=_created(known, snapshot),
        livemode=snapshot.get("livemode"),
        description=snapshot.get("description"),
        customer_email=owner.get("customer_email"),
        account=owner.get("account"),
        metadata=_texts(named | (snapshot.get("metadata") or {})),
        dispute=next(iter(disputes(known)[::-1]), None),
        fee=moved["fee"],
        net=moved["net"],
        settlement_currency=moved["settlement_currency"],
    )


def _standing(payment_id: str, known: Json) -> Json:
    """Give how a payment stands: by its own events, else by those of its charge or session."""
    subjects: dict[str, Json] = known.get("subjects", {})
    by_family = {one["family"]: one for one in subjects.values()}
    tellers = (by_family.get(family) for family in TELLERS)
    return subjects.get(payment_id) or next((one for one in tellers if one), {})


def _status(standing: Json) -> str | None:
    """Give the status of the intent, or the one that an intent of such a charge would have."""
    snapshot, status = standing.get("snapshot", {}), standing.get("status")
    if standing.get("family") == "charge":
        return intent_status(snapshot | {"status": status})
    return None if standing.get("family") == "checkout" else snapshot.get("status") or status


def _texts(metadata: Json) -> dict[str, str]:
    return {str(key): str(value) for key, value in metadata.items() if value is not None}


def _charge_id(payment_id: str, known: Json, snapshot: Json) -> str | None:
    if snapshot.get("charge_id"):
        return str(snapshot["charge_id"])
    of_family = [name for name, one in _subjects(known) if one["family"] == "charge"]
    return payment_id if payment_id.startswith("ch_") else next(iter(of_family), None)


def _created(known: Json, snapshot: Json) -> int:
    """Give when it was made; until its own event has come, the earliest second we know of."""
    if isinstance(snapshot.get("created"), int):
        return int(snapshot["created"])
    spoken = [one["snapshot"].get("created") or max(one["rank"][:2]) for _, one in _subjects(known)]
    return min((int(at) for at in spoken), default=0)


def _subjects(known: Json) -> list[tuple[str, Json]]:
    return list(known.get("subjects", {}).items())
