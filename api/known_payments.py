"""What is known of payments, listed and searched: read from Redis, Stripe is not asked.

There is no index of payments: the events tell which there are, in the order they were heard of. So
a search reads the newest events up to a limit, and says when there may be more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from api.list_models import PaymentRow, WorkItem
from shared.errors import CallerError
from shared.facts import amount_refunded, context
from shared.store.scripts import Store, redis_errors
from shared.work.dead_letters import LETTER_KINDS, DeadLetters, ItemFilter
from shared.work.kinds import ANY_ID, Kind
from shared.work.payments import ITEMS, PaymentRecord, Payments, moment

Json = dict[str, Any]
# Events that one search looks at: half a second of reading.
MOST_EVENTS = 10_000
# Dead letters of a kind that are read to mark their payments.
MOST_DEAD = 1_000
PAYMENT_PREFIXES = ("pi_", "ch_", "py_", "cs_")
# Payments read in one round trip.
CHUNK = 100


def payment_id_of(text: str) -> str:
    """Give an id back that can be a payment's. Raises `CallerError` 404 for any other."""
    if not ANY_ID.fullmatch(text) or not text.startswith(PAYMENT_PREFIXES):
        raise CallerError("No payment has an id like this.", status=404, code="payment_not_found")
    return text


@dataclass(frozen=True)
class Heard:
    """A payment, and when an event of it was last recorded (ms)."""

    record: PaymentRecord
    at_ms: int


class KnownPayments:
    """List the payments that events told of."""

    def __init__(self, store: Store, payments: Payments) -> None:
        self._store = store
        self._payments = payments
        self._letters = DeadLetters(store)

    def heard(self, wanted: ItemFilter, after: str | None = None) -> Iterator[Heard]:
        """Give each payment once, the one heard of last first, going on after one of them.

        Raises `Unavailable`.
        """
        names = self._names(wanted)
        if after is not None:
            names = _after(names, after)
        while chunk := list(islice(names, CHUNK)):
            records = self._payments.read_many([name for name, _ in chunk])
            for record, (_, at_ms) in zip(records, chunk, strict=True):
                yield Heard(record, at_ms)

    def is_complete(self, wanted: ItemFilter) -> bool:
        """Say whether a search looks at every event there is."""
        low = "-inf" if wanted.since_ms is None else wanted.since_ms
        high = "+inf" if wanted.until_ms is None else wanted.until_ms
        index = self._store.keys.index(LETTER_KINDS["events"])
        with redis_errors():
            return int(self._store.redis.zcount(index, low, high)) <= MOST_EVENTS

    def _names(self, wanted: ItemFilter) -> Iterator[tuple[str, int]]:
        seen = set()
        events = self._letters.walk(LETTER_KINDS["events"], wanted, fields=("state", "payment_id"))
        for event in islice(events, MOST_EVENTS):
            name = event["payment_id"]
            if name and name not in seen:
                seen.add(name)
                yield name, event["at_ms"]

    def currencies(self, payment_ids: Sequence[str]) -> dict[str, str | None]:
        """Give the currency of each payment, None where it is not known. Raises `Unavailable`."""
        records = self._payments.read_many(list(dict.fromkeys(payment_ids)))
        return {one.id: _standing(one).get("snapshot", {}).get("currency") for one in records}

    def dead(self) -> Counter[str]:
        """Count the newest dead letters by payment. Raises `Unavailable`."""
        counts: Counter[str] = Counter()
        for kind in LETTER_KINDS.values():
            index = self._store.keys.dead(kind)
            letters = self._letters.walk(
                kind, ItemFilter(), index=index, fields=("state", "payment_id")
            )
            counts.update(str(letter["payment_id"]) for letter in islice(letters, MOST_DEAD))
        return counts

    def work(self, payment_id: str) -> list[WorkItem]:
        """List the items of work of a payment, in the order they came. Raises `Unavailable`."""
        entries = self._payments.entries(payment_id)
        named = {e[ITEMS[e["kind"]][1]]: ITEMS[e["kind"]][0] for e in entries if e["kind"] in ITEMS}
        rows = self._read(list(named.items()))
        return [_work_item(row) for row in rows if row["state"]]

    def _read(self, items: Sequence[tuple[str, Kind]]) -> list[Json]:
        fields = ("state", "type", "attempts", "error", "not_before")
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            for item_id, kind in items:
                pipe.hmget(self._store.keys.item(kind, item_id), *fields)
            rows = pipe.execute()
        return [
            {"kind": kind.name, "id": item_id} | dict(zip(fields, row, strict=True))
            for (item_id, kind), row in zip(items, rows, strict=True)
        ]


def _after(names: Iterator[tuple[str, int]], after: str) -> Iterator[tuple[str, int]]:
    for name, _ in names:
        if name == after:
            break
    return names


def _work_item(row: Json) -> WorkItem:
    due = row.pop("not_before")
    return WorkItem(
        **row | {"attempts": int(row["attempts"] or 0), "error": row["error"] or None},
        next_attempt_at=moment(due) if due else None,
    )


def row_of(heard: Heard, dead: int) -> PaymentRow:
    """Shape a payment into a row of the list."""
    record, owner = heard.record, context(heard.record.known)
    standing, dispute = _standing(record), _latest_dispute(record)
    snapshot = standing.get("snapshot", {})
    return PaymentRow(
        payment_id=record.id,
        status=standing.get("status"),
        amount=_amount(snapshot, "amount", "amount_total"),
        amount_received=_amount(snapshot, "amount_received", "amount_captured"),
        amount_refunded=amount_refunded(record.known),
        currency=snapshot.get("currency"),
        customer_email=owner.get("customer_email"),
        event_id=owner.get("event_id"),
        user_id=owner.get("user_id"),
        description=snapshot.get("description"),
        created=snapshot.get("created"),
        heard_at=moment(heard.at_ms),
        dispute=dispute.get("status"),
        dispute_due_by=dispute.get("snapshot", {}).get("due_by"),
        dead=dead,
    )


def _standing(record: PaymentRecord) -> Json:
    """Give how a payment stands: by its own events, else by those of its charge or session."""
    subjects: dict[str, Json] = record.known.get("subjects", {})
    known = {one["family"]: one for one in subjects.values()}
    families = (known.get(family) for family in ("payment", "charge", "checkout"))
    return record.state or next((one for one in families if one), {})


def _amount(snapshot: Json, *names: str) -> int | None:
    return next((snapshot[name] for name in names if snapshot.get(name) is not None), None)


def _latest_dispute(record: PaymentRecord) -> Json:
    subjects: dict[str, Json] = record.known.get("subjects", {})
    disputes = [one for one in subjects.values() if one["family"] == "dispute"]
    return max(disputes, key=lambda one: int(one["snapshot"].get("created") or 0), default={})


def matches(
    status: str | None, event_id: str | None, email: str | None, disputed: bool | None
) -> Callable[[PaymentRow], bool]:
    """Build the test of a search: everything given must hold."""

    def test(row: PaymentRow) -> bool:
        return (
            status in (None, row.status)
            and event_id in (None, row.event_id)
            and disputed in (None, row.dispute is not None)
            and (email is None or email.lower() in (row.customer_email or "").lower())
        )

    return test
