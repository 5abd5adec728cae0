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
from typing import Any

from shared.canonical_json import compact
from shared.known_refunds import (
    UNLISTED,
    foretelling,
    let_go,
    marked,
    unexplained,
    unmatched,
)
from shared.stripe.amounts import REFUNDED_STATES

Json = dict[str, Any]
# 130 bits of the key's hash: no collision in the lifetime of any business.
NOTIFICATION_ID_LENGTH = 26
CONTEXT_FIELDS = ("event_id", "user_id", "customer_email", "account")


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
        """Return the stable id the event service dedupes on."""
        digest = hashlib.sha256(f"{self.type}:{self.key}".encode()).digest()
        text = base64.b32encode(digest).decode().lower()
        return "ntf_" + text[:NOTIFICATION_ID_LENGTH]


@dataclass(frozen=True)
class Advance:
    """The result of a fold: the new state, the facts to notify, and those that came too late."""

    known: Json
    news: list[Fact]
    late: list[Fact]


def of_account(fact: Fact, account: str | None) -> Fact:
    """Add a connected account, if any, to a fact."""
    return replace(fact, data=fact.data | {"account": account}) if account else fact


def advance(known: Json, facts: list[Fact]) -> Advance:
    """Fold facts into the state of a payment; pure, and independent of the order of facts.

    `known` is `{"subjects": {id: {"family", "status", "rank", …}}, "context": {…}}`, or empty; its
    context comes from look-ups. A fact of lower rank than the state of its subject changes nothing
    and is not notified.
    """
    subjects: Json = dict(known.get("subjects", {}))
    news: list[Fact] = []
    late: list[Fact] = []
    for arrival in facts:
        stored = subjects.get(arrival.subject)
        fact, subjects = _told_once(arrival, subjects)
        if _wins(fact, stored):
            subjects[fact.subject] = _state(fact)
        (late if _late(fact, stored) else news).append(fact)
    after = {"subjects": marked(subjects), "context": known.get("context", {})}
    return Advance(after, [_silence(fact, after) for fact in news], late)


def _told_once(fact: Fact, subjects: Json) -> tuple[Fact, Json]:
    """Leave a refund, or a sum of refunds, out when the other has notified it before."""
    earlier = subjects.get(fact.subject)
    if fact.family == UNLISTED:
        return _sum_told_once(fact, subjects), subjects
    if fact.family != "refund":
        return fact, subjects
    changes = {} if earlier else foretelling(_state(fact), subjects)
    if not changes and not (earlier or {}).get("foretold"):
        return fact, subjects
    type_ = None if fact.status in REFUNDED_STATES else fact.type
    return replace(fact, type=type_, beside={"foretold": True}), subjects | changes


def _sum_told_once(fact: Fact, subjects: Json) -> Fact:
    """Notify the part of a sum that no other fact notified; repeated, the same part again."""
    stored = subjects.get(fact.subject)
    if stored:
        beside = {name: stored.get(name, 0) for name in ("told", "ahead")}
    else:
        amount, missing = unexplained(fact.snapshot, fact.happened_at, subjects)
        known_by_now = min(amount, max(0, unmatched(subjects) - missing))
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
