"""The index of payments: list them, newest first, by metadata, status and time.

It is one sorted set of texts. For each term by which a payment is found (all payments; each indexed
metadata key with its value; the e-mail address; each id of its refunds, disputes and sessions) it
has one member: a digest of the term, the status, the second of creation, the payment's id. So any
list is a range of texts, a page continues exactly after the last payment shown, and a longer list
does not cost more. The script that settles writes the members together with the state of the
payment. A member whose payment has expired is not shown, and is removed when it is found.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Any, cast

from shared.errors import CallerError
from shared.payment_summary import PaymentSummary, summarise
from shared.store.scripts import Call, Store, redis_errors
from shared.work.payments import OWN_ACCOUNT, PaymentRecord, Payments

Json = dict[str, Any]
# Statuses of Stripe's payment intent, each with its letter in a member.
STATUSES = {
    "requires_payment_method": "m",
    "requires_confirmation": "n",
    "requires_action": "a",
    "processing": "p",
    "requires_capture": "h",
    "canceled": "c",
    "succeeded": "s",
}
# The letter for a payment whose intent's status is unknown.
UNKNOWN = "u"
# 72 bits: a million payments have no two terms with the same digest, and each match is compared
# with the payment before it is shown.
DIGEST_LENGTH = 12
# Eight digits for the second; five for the milliseconds until its first event came, which sort the
# payments of one second, up to a quarter of an hour.
SECOND_LENGTH, DELAY_LENGTH = 8, 5
LAST_SECOND = 16**SECOND_LENGTH - 1
STAMP_LENGTH = SECOND_LENGTH + DELAY_LENGTH
# Sorts behind every second in the order of texts.
ABOVE = "g"
# Families whose subjects have ids that a person searches for.
NAMED_FAMILIES = ("refund", "dispute", "checkout", "review", "fraud_warning")
ALL, EMAIL, ID, ACCOUNT, DISPUTED = "all", "email", "id", "account", "disputed"
# Most ids by which one payment is found, so that its members in the index are bounded.
MOST_IDS = 100
# Payments read in one round trip.
CHUNK = 100


@dataclass(frozen=True)
class PaymentFilter:
    """Filters of payments; a payment must match all of them.

    `metadata` may name indexed keys only; times are Unix seconds: from `since`, before `until`.
    `accounts` are the connected accounts that may be shown, `own` for ours; None for any.
    """

    metadata: Mapping[str, str] = field(default_factory=dict)
    email: str | None = None
    id: str | None = None
    status: str | None = None
    disputed: bool | None = None
    since: int | None = None
    until: int | None = None
    accounts: frozenset[str] | None = None

    def terms(self) -> list[tuple[str, str]]:
        """List the terms of the wanted payments; the term of all payments if there is no other."""
        terms = [(f"metadata.{key}", value) for key, value in self.metadata.items()]
        terms += [(EMAIL, self.email.lower())] if self.email else []
        terms += [(ID, self.id)] if self.id else []
        terms += [(DISPUTED, "")] if self.disputed else []
        if self.accounts is not None and len(self.accounts) == 1:
            terms += [(ACCOUNT, one) for one in self.accounts if one != OWN_ACCOUNT]
        return terms or [(ALL, "")]

    def admits(self, payment: ListedPayment) -> bool:
        """Say whether a payment matches the filters that the index does not cover."""
        one = payment.summary
        return (
            all(one.metadata.get(key) == value for key, value in self.metadata.items())
            and (self.email is None or (one.customer_email or "").lower() == self.email.lower())
            and (self.id is None or self.id in payment.ids)
            and self.status in (None, one.status)
            and self.disputed in (None, one.dispute is not None)
            and (self.accounts is None or (one.account or OWN_ACCOUNT) in self.accounts)
        )


@dataclass(frozen=True)
class ListedPayment:
    """A payment of a list: its state, and its summary."""

    record: PaymentRecord
    summary: PaymentSummary

    @property
    def ids(self) -> list[str]:
        """List the ids of its refunds, disputes, sessions and reviews."""
        return _ids(self.record.known)


@dataclass(frozen=True, order=True)
class Place:
    """The place of a payment in every list: when it was made, then its id."""

    stamp: str
    id: str


class PaymentIndex:
    """List payments by metadata, status and time of creation."""

    def __init__(self, store: Store, payments: Payments, indexed: tuple[str, ...]) -> None:
        self._store = store
        self._payments = payments
        self._indexed = indexed

    def page(
        self, criteria: PaymentFilter, limit: int, after: str | None = None
    ) -> tuple[list[ListedPayment], bool]:
        """List payments, the newest first, after one of them; say whether more follow.

        Raises `CallerError` 400 for an `after` that is unknown, and `Unavailable`.
        """
        rows = list(islice(self.walk(criteria, after, min(limit + 1, CHUNK)), limit + 1))
        return rows[:limit], len(rows) > limit

    def walk(
        self, criteria: PaymentFilter, after: str | None = None, chunk_size: int = CHUNK
    ) -> Iterator[ListedPayment]:
        """Yield the wanted payments, the newest first, a chunk in two round trips.

        A payment that changes its status meanwhile appears once or, if it no longer has the wanted
        status, not at all. Raises `CallerError` 400 for an `after` that is unknown, and
        `Unavailable`.
        """
        place = self._place(after) if after else None
        term = self._narrowest(criteria)
        while chunk := self._read(criteria, term, place, chunk_size):
            yield from self._current(criteria, chunk)
            if len(chunk) < chunk_size:
                return
            place = chunk[-1][0]

    def among(
        self, payment_ids: list[str], criteria: PaymentFilter, after: str | None = None
    ) -> Iterator[ListedPayment]:
        """Return the wanted payments among these, in the order of every list.

        Raises `CallerError` 400 for an `after` that is unknown, and `Unavailable`.
        """
        end = self._place(after) if after else None
        payments = [_with_summary(record) for record in self._payments.read_many(payment_ids)]
        places = {one.record.id: _place(one) for one in payments}
        for one in sorted(payments, key=lambda one: places[one.record.id], reverse=True):
            is_next = end is None or places[one.record.id] < end
            if is_next and one.record.known and criteria.admits(one):
                yield one

    def _place(self, payment_id: str) -> Place:
        record = self._payments.read(payment_id)
        if not record.known:
            raise CallerError(
                "No payment has this id; start from the first page again.",
                code="invalid_parameter",
                param="starting_after",
            )
        return _place(_with_summary(record))

    def count(self) -> int:
        """Count all payments, including some expired ones. Raises `Unavailable`."""
        digest = _digest(ALL, "")
        with redis_errors():
            return int(self._store.redis.zlexcount(self._name, f"[{digest}", f"({digest}~"))

    def _narrowest(self, criteria: PaymentFilter) -> str:
        """Return the digest of the term with the fewest payments."""
        digests = [_digest(*term) for term in criteria.terms()]
        if len(digests) == 1:
            return digests[0]
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            for digest in digests:
                pipe.zlexcount(self._name, f"[{digest}", f"({digest}~")
            counts = cast(list[int], pipe.execute())
        return min(zip(counts, digests, strict=True))[1]

    def _read(
        self, criteria: PaymentFilter, digest: str, after: Place | None, size: int
    ) -> list[tuple[Place, str]]:
        """Read the next members in one step, so that none whose status changes is missed."""
        letters = [STATUSES[criteria.status]] if criteria.status else [*STATUSES.values(), UNKNOWN]
        low = _digits(criteria.since or 0, SECOND_LENGTH)
        high = ABOVE if criteria.until is None else _digits(criteria.until, SECOND_LENGTH)
        if after is not None:
            high = min(high, after.stamp + after.id)
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            for letter in letters:
                bounds = (f"({digest}{letter}{high}", f"[{digest}{letter}{low}")
                pipe.zrange(self._name, *bounds, desc=True, bylex=True, offset=0, num=size)
            rows = cast(list[list[str]], pipe.execute())
        members_in_order = ([(_place_of(member), member) for member in row] for row in rows)
        return list(islice(merge(*members_in_order, reverse=True), size))

    def _current(
        self, criteria: PaymentFilter, chunk: list[tuple[Place, str]]
    ) -> Iterator[ListedPayment]:
        records = self._payments.read_many([place.id for place, _ in chunk])
        for record, (_, member) in zip(records, chunk, strict=True):
            payment = _with_summary(record)
            if not record.known or member not in _members(payment, self._indexed):
                self._forget(record, member)
            if record.known and criteria.admits(payment):
                yield payment

    def _forget(self, record: PaymentRecord, member: str) -> None:
        """Remove a member that its payment no longer has, unless the payment changed meanwhile."""
        names = {"payment": self._store.keys.payment(record.id), "payment_index": self._name}
        self._store.run(Call("forget", names, [record.revision, member]))

    @property
    def _name(self) -> str:
        return self._store.keys.payment_index()


def _with_summary(record: PaymentRecord) -> ListedPayment:
    return ListedPayment(record, summarise(record.id, record.known))


def _place(payment: ListedPayment) -> Place:
    return Place(_stamp(payment.record, payment.summary.created), payment.record.id)


def members(record: PaymentRecord, indexed: tuple[str, ...]) -> list[str]:
    """Build the members of the index from the state of a payment; none for an empty state."""
    return _members(_with_summary(record), indexed) if record.known else []


def index_changes(before: PaymentRecord, after: PaymentRecord, indexed: tuple[str, ...]) -> Json:
    """Plan the members to add to the index, and to drop, when a payment's state changes.

    Most changes drop none. Hashing the terms takes the longest, so it is done once for these.
    """
    now = _parts(_with_summary(after), indexed)
    was = _parts(_with_summary(before), indexed) if before.known else now
    added = _texts(*now) if after.known else []
    dropped = [] if was == now else sorted(set(_texts(*was)).difference(added))
    return {"add": with_scores(added), "drop": dropped}


def _members(payment: ListedPayment, indexed: tuple[str, ...]) -> list[str]:
    return _texts(*_parts(payment, indexed))


def _texts(terms: list[tuple[str, str]], end: str) -> list[str]:
    """Build one member for each term, with the common end of all."""
    return [_digest(*term) + end for term in terms]


def _parts(payment: ListedPayment, indexed: tuple[str, ...]) -> tuple[list[tuple[str, str]], str]:
    """Return the terms under which a payment is found, and the end of its members."""
    record, one = payment.record, payment.summary
    terms = [(ALL, "")]
    terms += [(f"metadata.{key}", one.metadata[key]) for key in indexed if one.metadata.get(key)]
    terms += [(EMAIL, one.customer_email.lower())] if one.customer_email else []
    terms += [(ACCOUNT, one.account)] if one.account else []
    terms += [(DISPUTED, "")] if one.dispute else []
    terms += [(ID, name) for name in _ids(record.known)]
    end = STATUSES.get(one.status or "", UNKNOWN) + _stamp(record, one.created) + record.id
    return terms, end


def with_scores(names: list[str]) -> list[str | int]:
    """Return members for `ZADD`, all with one score, so that the set is ordered by text."""
    return [part for member in names for part in (0, member)]


def payment_of_member(member: str) -> str:
    """Name the payment of a member."""
    return _place_of(member).id


def _ids(known: Json) -> list[str]:
    """List the ids of a payment's objects, except its charge, which has a key of its own."""
    subjects = known.get("subjects", {}).items()
    return [name for name, one in subjects if one["family"] in NAMED_FAMILIES][:MOST_IDS]


def _digest(key: str, value: str) -> str:
    hashed = hashlib.sha256(f"{key}\n{value}".encode(errors="surrogatepass")).digest()
    return base64.urlsafe_b64encode(hashed[: DIGEST_LENGTH * 3 // 4]).decode()


def _stamp(record: PaymentRecord, created: int) -> str:
    """Render a time of creation so that the texts sort by time."""
    delay_ms = (record.heard_at_ms or 0) - created * 1000
    return _digits(created, SECOND_LENGTH) + _digits(delay_ms, DELAY_LENGTH)


def _digits(number: int, length: int) -> str:
    return f"{min(max(number, 0), 16**length - 1):0{length}x}"


def _place_of(member: str) -> Place:
    rest = member[DIGEST_LENGTH + 1 :]
    return Place(rest[:STAMP_LENGTH], rest[STAMP_LENGTH:])
