"""What is shown and notified of a payment: readings of its state (`shared/facts.py`). Pure.

Lists show the summary, and the index of payments is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.facts import CONTEXT_FIELDS, Fact
from shared.known_refunds import UNLISTED, let_go, refunded
from shared.notification import DATA_FIELDS
from shared.stripe import amounts

Json = dict[str, Any]
# Sources of a payment's status, the best first.
TELLERS = ("payment", "charge", "checkout")
REFUNDS = ("refund", UNLISTED)
FEE_FIELDS = ("fee", "net", "settlement_currency", "available_on")
# The last second of the year 9999, the greatest time that RFC 3339 can express.
END_OF_TIME = 253_402_300_799
# Times, which are stored as Unix seconds and sent as text.
TIME_FIELDS = ("available_on", "due_by")
# Sources of the event, the user and the address, the least reliable first. A look-up gives the
# payment's own data, but older than its events.
LOOKED_UP = "looked_up"
SPEAKERS = (
    "review",
    "fraud_warning",
    "dispute_funds",
    "dispute",
    UNLISTED,
    "refund",
    "settlement",
    "charge",
    "checkout",
    LOOKED_UP,
    "payment",
)


@dataclass(frozen=True)
class PaymentSummary:
    """The state of one payment; amounts in the currency's smallest unit, times in Unix seconds.

    `status` is that of Stripe's payment intents, also when only the charge is known; None when
    neither is. `disputes` are the newest first.
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
    disputes: list[Json]
    fee: int | None
    net: int | None
    settlement_currency: str | None

    @property
    def dispute(self) -> Json | None:
        """Return the latest dispute."""
        return next(iter(self.disputes), None)


def summarise(payment_id: str, known: Json) -> PaymentSummary:
    """Summarise the state of a payment (`shared/facts.py`)."""
    intent, owner, sums = remembered_intent(payment_id, known), context(known), fees(known)
    ids = {name: owner[name] for name in ("event_id", "user_id") if name in owner}
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
        metadata=_texts(ids | (intent.get("metadata") or {})),
        disputes=disputes(known),
        fee=sums["fee"],
        net=sums["net"],
        settlement_currency=sums["settlement_currency"],
    )


def remembered_intent(payment_id: str, known: Json) -> Json:
    """Return the state of a payment in the form of an intent; its status is None if unknown.

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
    """Return the latest state from the best source of the payment's status."""
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
    """Return the time of its creation; until its own event comes, the earliest known second."""
    if isinstance(snapshot.get("created"), int):
        return int(snapshot["created"])
    times = [one["snapshot"].get("created") or max(one["rank"][:2]) for _, one in _subjects(known)]
    return min((int(at) for at in times), default=0)


def _subjects(known: Json) -> list[tuple[str, Json]]:
    return list(known.get("subjects", {}).items())


def context(known: Json) -> Json:
    """Return event, user and address of a payment: each from the source closest to the payment."""
    sources = [
        (SPEAKERS.index(state["family"]), subject, state["said"])
        for subject, state in known.get("subjects", {}).items()
        if state["family"] in SPEAKERS
    ]
    sources.append((SPEAKERS.index(LOOKED_UP), "", known.get("context", {})))
    merged: Json = {}
    for _, _, fields in sorted(sources, key=lambda item: item[:2]):
        merged |= {name: fields[name] for name in CONTEXT_FIELDS if name in fields}
    return merged


def amount_refunded(known: Json) -> int:
    """Sum the amounts refunded or being refunded, as far as known (smallest unit).

    Only captured money counts: releasing a hold is no refund. Refunds that our key may not list
    count by their charge's event.
    """
    subjects = known.get("subjects", {})
    if not any(one["family"] in REFUNDS for one in subjects.values()) or let_go(known):
        return 0
    return refunded(subjects)


def fees(known: Json) -> Json:
    """Return the payment's fee, net, settlement currency and date, as far as they are known."""
    for state in known.get("subjects", {}).values():
        if state["family"] == "settlement":
            return {name: state["snapshot"].get(name) for name in FEE_FIELDS}
    return dict.fromkeys(FEE_FIELDS)


def disputed(known: Json) -> bool:
    """Say whether a dispute was ever opened on the payment, as Stripe's `charge.disputed` does."""
    return bool(disputes(known))


def disputes(known: Json) -> list[Json]:
    """List the disputes, each with its status and its movements so far, newest first."""
    states: dict[str, list[Json]] = {}
    for subject, state in known.get("subjects", {}).items():
        if state["family"] in ("dispute", "dispute_funds"):
            states.setdefault(subject.partition(":")[0], []).append(state)
    entries = [{"id": dispute} | _dispute(of_it) for dispute, of_it in states.items()]
    return _newest_first(entries)


def _dispute(states: list[Json]) -> Json:
    """Build a dispute from its facts: its status, and its movements by the latest fact.

    When only a movement is known, the status is the one in that event.
    """
    latest = max(states, key=lambda state: (state["family"] == "dispute", state["rank"]))
    moves = [state for state in states if state["snapshot"].get("net") is not None]
    last = max(moves, key=lambda s: (s["rank"][0], s["family"] == "dispute_funds"), default=latest)
    sums = {name: last["snapshot"].get(name) for name in FEE_FIELDS}
    standing: Json = {"status": latest["status"]} | latest["snapshot"]
    return standing | sums


def refunds(known: Json) -> list[Json]:
    """List the refunds of captured money, newest first, each with its status and movements."""
    subjects = {} if let_go(known) else known.get("subjects", {})
    entries = [
        {"id": subject, "status": state["status"]}
        | state["snapshot"]
        | subjects.get(f"{subject}:settlement", {}).get("snapshot", {})
        for subject, state in subjects.items()
        if state["family"] == "refund" and not state["snapshot"].get("released_hold")
    ]
    return _newest_first(entries)


def _newest_first(entries: list[Json]) -> list[Json]:
    return sorted(entries, key=lambda entry: int(entry.get("created") or 0), reverse=True)


def notification_body(fact: Fact, known: Json, payment_id: str) -> Json:
    """Build the body of a notification, all but `sequence`, which is counted when it is staged."""
    data: Json = dict.fromkeys(DATA_FIELDS)
    if payment_id.startswith("pi_"):
        data["payment_intent_id"] = payment_id
    if fact.family == "payment":
        data |= fees(known)
    data |= {name: value for name, value in fact.data.items() if value is not None}
    owner = context(known)
    for name in CONTEXT_FIELDS:
        data[name] = data[name] or owner.get(name)
    data["status"] = fact.status
    data["amount_refunded"] = amount_refunded(known)
    data["metadata"] = data["metadata"] or {}
    for name in TIME_FIELDS:
        data[name] = None if data[name] is None else timestamp(data[name])
    data["stripe_event_id"] = fact.stripe_event_id
    return {
        "id": fact.notification_id,
        "type": fact.type,
        "timestamp": timestamp(fact.happened_at),
        "livemode": fact.livemode,
        "data": data,
    }


def timestamp(unix_seconds: float) -> str:
    """Render a time as RFC 3339 in UTC, whole seconds; at most the end of the year 9999."""
    seconds = min(max(int(unix_seconds), 0), END_OF_TIME)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
