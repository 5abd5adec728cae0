"""Facts: the meaning of Stripe's events for one payment, and which of them to notify. Pure.

Several events have one meaning, and come twice, late and in any order. A `Fact` is that meaning;
`advance` folds facts into the state of a payment. The fold is a join: the same facts in any order
end in the same state, because for each subject (a payment intent, a refund, a dispute …) the fact
of the highest rank wins. A notification's id is made from the fact's key, so that a replay, or a
Redis rebuilt from Stripe's archive, gives the same id again. docs/adr/0004-facts-and-order.md says
which facts are notified in every order, and which are superseded when they come late.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from shared.canonical_json import compact
from shared.notification import DATA_FIELDS
from shared.released_holds import marked
from shared.stripe.amounts import REFUNDED_STATES
from shared.unlisted_refunds import UNLISTED, foretelling, refunded, unexplained, unmatched

Json = dict[str, Any]
# 130 bits of the key's hash: no collision in the lifetime of any business.
NOTIFICATION_ID_LENGTH = 26
CONTEXT_FIELDS = ("event_id", "user_id", "customer_email", "account")
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
class Fact:
    """The meaning of an event for one subject.

    `rank` orders the facts of a subject; the greatest is its state, and a lower one comes too late
    to be notified. `tie` chooses the state among facts of one rank, whose order is unknown; all of
    those are notified. `type` is the notification's, None for a fact that is only in the timeline.
    `beside` is stored with the subject's state: facts that other events reported about it.
    """

    subject: str
    family: str
    status: str
    rank: tuple[int, ...]
    happened_at: int
    snapshot: Json
    tie: tuple[int, ...] = ()
    type: str | None = None
    key: str = ""
    data: Json = field(default_factory=dict)
    livemode: bool = False
    stripe_event_id: str | None = None
    beside: Json = field(default_factory=dict)

    @property
    def notification_id(self) -> str:
        """Give the stable id the event service dedupes on."""
        digest = hashlib.sha256(f"{self.type}:{self.key}".encode()).digest()
        text = base64.b32encode(digest).decode().lower()
        return "ntf_" + text[:NOTIFICATION_ID_LENGTH]


@dataclass(frozen=True)
class Advance:
    """The result of a fold: the new state, the facts to notify, and those that came too late."""

    known: Json
    news: list[Fact]
    late: list[Fact]


def advance(known: Json, facts: list[Fact]) -> Advance:
    """Fold facts into the state of a payment; pure, and independent of the order of facts.

    `known` is `{"subjects": {id: {"family", "status", "rank", …}}, "context": {…}}`, or empty; its
    context comes from look-ups. A fact of lower rank than the state of its subject changes nothing
    and is not notified.
    """
    subjects: Json = dict(known.get("subjects", {}))
    news: list[Fact] = []
    late: list[Fact] = []
    for given in facts:
        stored = subjects.get(given.subject)
        fact, subjects = _told_once(given, subjects)
        if _wins(fact, stored):
            subjects[fact.subject] = _state(fact)
        (late if _late(fact, stored) else news).append(fact)
    after = {"subjects": marked(subjects), "context": known.get("context", {})}
    return Advance(after, [_silence(fact, after) for fact in news], late)


def _told_once(fact: Fact, subjects: Json) -> tuple[Fact, Json]:
    """Leave a refund, or a sum of refunds, out when the other has notified it before."""
    stored = subjects.get(fact.subject)
    if fact.family == UNLISTED:
        return _sum_told_once(fact, subjects), subjects
    if fact.family != "refund":
        return fact, subjects
    changes = {} if stored else foretelling(_state(fact), subjects)
    if not changes and not (stored or {}).get("foretold"):
        return fact, subjects
    type_ = None if fact.status in REFUNDED_STATES else fact.type
    return replace(fact, type=type_, beside={"foretold": True}), subjects | changes


def _sum_told_once(fact: Fact, subjects: Json) -> Fact:
    """Notify the part of a sum that no other fact notified; repeated, the same part again."""
    stored = subjects.get(fact.subject)
    if stored:
        beside = {name: stored.get(name, 0) for name in ("told", "ahead")}
    else:
        amount = unexplained(fact.snapshot, fact.happened_at, subjects)
        known_by_now = min(amount, max(0, unmatched(subjects)))
        beside = {"told": amount, "ahead": amount - known_by_now}
    type_ = fact.type if beside["told"] else None
    return replace(fact, type=type_, data=fact.data | {"amount": beside["told"]}, beside=beside)


def _silence(fact: Fact, known: Json) -> Fact:
    """Do not notify a refund of money that was only held."""
    if fact.family != "refund":
        return fact
    held = known["subjects"][fact.subject]["snapshot"].get("released_hold")
    return replace(fact, type=None) if held or let_go(known) else fact


def _state(fact: Fact) -> Json:
    state = {"family": fact.family, "status": fact.status, "rank": [*fact.rank, *fact.tie]}
    context_fields = {name: fact.data[name] for name in CONTEXT_FIELDS if fact.data.get(name)}
    return state | {"snapshot": fact.snapshot, "said": context_fields} | fact.beside


def _late(fact: Fact, stored: Json | None) -> bool:
    return stored is not None and list(fact.rank) < list(stored["rank"])[: len(fact.rank)]


def _wins(fact: Fact, stored: Json | None) -> bool:
    """Break a tie of equal rank by content, so that the order of arrival has no effect."""
    if stored is None:
        return True
    rank = [*fact.rank, *fact.tie]
    if rank != stored["rank"]:
        return bool(rank > stored["rank"])
    return compact(_state(fact)) > compact(stored)


def context(known: Json) -> Json:
    """Give event, user and address of a payment: each from the source closest to the payment."""
    spoken = [
        (SPEAKERS.index(state["family"]), subject, state["said"])
        for subject, state in known.get("subjects", {}).items()
        if state["family"] in SPEAKERS
    ]
    spoken.append((SPEAKERS.index(LOOKED_UP), "", known.get("context", {})))
    merged: Json = {}
    for _, _, fields in sorted(spoken, key=lambda item: item[:2]):
        merged |= {name: fields[name] for name in CONTEXT_FIELDS if name in fields}
    return merged


def amount_refunded(known: Json) -> int:
    """Sum the amounts refunded or being refunded, as far as known (smallest unit).

    Only captured money counts: releasing a hold is no refund. Refunds that our key may not list
    count by their charge's event.
    """
    return 0 if let_go(known) else refunded(known.get("subjects", {}))


def let_go(known: Json) -> bool:
    """Say whether the payment ended with nothing received: its hold, if any, was released."""
    snapshots = [state["snapshot"] for state in known.get("subjects", {}).values()]
    if any(snapshot.get("amount_received") for snapshot in snapshots):
        return False
    looked_up = known.get("context", {}).get("let_go")
    return bool(looked_up) or any(snapshot.get("let_go") for snapshot in snapshots)


def fees(known: Json) -> Json:
    """Give the payment's fee, net, settlement currency and date, as far as they are known."""
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
