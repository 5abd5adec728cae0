"""Payments: the last known state of each, and its timeline.

This is no ledger: Stripe is the truth about money, and all of this can be rebuilt from its events.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from shared.canonical_json import compact
from shared.payment_summary import context
from shared.store.scripts import TIMELINE_LIMIT, Call, Store, redis_errors
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS

Json = dict[str, Any]
# The mark of a payment of our own account, which has no name in Stripe's requests.
OWN_ACCOUNT = "own"
RECORD_FIELDS = ("revision", "known", "updated_at", "heard_at")
DELIVERY = "notification_staged"
# Entries that begin an item: the item's kind, the field with its id, and the kind of the entry of
# an attempt at it.
ITEMS = {
    "event_received": (EVENTS, "stripe_event_id", "event_attempt"),
    "refund_requested": (REFUNDS, "refund_request_id", "refund_attempt"),
    DELIVERY: (NOTIFICATIONS, "notification_id", "delivery_attempt"),
}
# Outcomes of an attempt after which the item is not done.
FAILED = ("retry", "snooze", "dead", "lost")


@dataclass(frozen=True)
class PaymentRecord:
    """The state of one payment; `revision` guards against a decision on an old reading."""

    id: str
    revision: str
    known: Json
    updated_at_ms: int | None
    heard_at_ms: int | None = None

    @property
    def state(self) -> Json:
        """Return the last known state of the payment intent itself, or an empty dict."""
        state: Json = self.known.get("subjects", {}).get(self.id, {})
        return state


class Payments:
    """Read the stored payments, and add entries to their timelines."""

    def __init__(self, store: Store, retention_seconds: int) -> None:
        self._store = store
        self._retention_ms = retention_seconds * 1000

    def read(self, payment_id: str) -> PaymentRecord:
        """Read the state of a payment; an unknown one has revision 0 and is empty.

        Raises `Unavailable`.
        """
        name = self._store.keys.payment(payment_id)
        return _record(payment_id, self._store.fields(name, *RECORD_FIELDS))

    def remember_made_here(self, payment_id: str, account: str | None) -> None:
        """Remember that a payment was made here, and for which connected account.

        Raises `Unavailable`.
        """
        name = self._store.keys.made_here(payment_id)
        self._store.put(name, account or OWN_ACCOUNT, self._retention_ms // 1000)

    def made_here(self, payment_id: str) -> bool:
        """Say whether a payment is known to have been made here. Raises `Unavailable`."""
        return self._store.get(self._store.keys.made_here(payment_id)) is not None

    def account_of(self, payment_id: str) -> str | None:
        """Name the connected account of a payment, from its request or its events.

        Raises `Unavailable`.
        """
        marked = self._store.get(self._store.keys.made_here(payment_id))
        if marked and marked != OWN_ACCOUNT:
            return marked
        account = context(self.read(payment_id).known).get("account")
        return str(account) if account else None

    def intent_of(self, charge_id: str) -> str | None:
        """Name the payment intent of a charge, if an event has named it. Raises `Unavailable`."""
        return self._store.get(self._store.keys.intent_of(charge_id))

    def payment_of_request(self, request_id: str) -> str | None:
        """Return the payment of a request to us or to Stripe. Raises `Unavailable`."""
        return self._store.get(self._store.keys.request_of(request_id))

    def note(self, payment_id: str, kind: str, **details: Any) -> Call:
        """Return the run that adds an entry to the payment's timeline.

        With a `request_id` the payment is found by it.
        """
        keys, request_id = self._store.keys, str(details.get("request_id") or "")
        names = {
            "timeline": keys.timeline(payment_id),
            "request_of": keys.request_of(request_id),
        }
        found_by = payment_id if request_id else ""
        args = [compact(entry(kind, **details)), TIMELINE_LIMIT, self._retention_ms, found_by]
        return Call("note", names, args)

    def entries(self, payment_id: str) -> list[Json]:
        """Read a payment's timeline as it is stored, oldest first. Raises `Unavailable`."""
        items = self._store.entries(self._store.keys.timeline(payment_id))
        return [_by_todays_names(item) for item in items]

    def timeline(self, payment_id: str) -> list[Json]:
        """List the timeline of a payment, oldest first.

        It has requests, calls to Stripe, events (received, processed, ignored, late), refund jobs
        and notifications; each delivery attempt, each failed attempt at the others, and decisions
        of operators. Raises `Unavailable`.
        """
        entries = self.entries(payment_id)
        for beginning, attempts in self._attempts(entries):
            entries += [
                _attempt_entry(attempt, beginning)
                for attempt in attempts
                if _is_shown(attempt, beginning)
            ]
        return sorted((with_time(item) for item in entries), key=lambda item: str(item["at"]))

    def _attempts(self, entries: list[Json]) -> list[tuple[Json, list[Json]]]:
        """Read the attempts at each item whose first entry is among these."""
        beginnings = {
            item[ITEMS[item["kind"]][1]]: item for item in entries if item["kind"] in ITEMS
        }
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            for item_id, item in beginnings.items():
                pipe.lrange(self._store.keys.attempts(ITEMS[item["kind"]][0], item_id), 0, -1)
            rows = pipe.execute()
        read = [[json.loads(text) for text in row] for row in rows]
        return list(zip(beginnings.values(), read, strict=True))

    def read_many(self, payment_ids: Sequence[str]) -> list[PaymentRecord]:
        """Read the states of many payments in one round trip. Raises `Unavailable`."""
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            for payment_id in payment_ids:
                pipe.hmget(self._store.keys.payment(payment_id), *RECORD_FIELDS)
            rows = cast(list[list[str | None]], pipe.execute())
        return [_record(name, row) for name, row in zip(payment_ids, rows, strict=True)]


def _record(payment_id: str, row: Sequence[str | None]) -> PaymentRecord:
    revision, known, updated, heard_at = row
    return PaymentRecord(
        id=payment_id,
        revision=revision or "0",
        known=json.loads(known) if known else {},
        updated_at_ms=int(updated) if updated else None,
        heard_at_ms=int(heard_at) if heard_at else None,
    )


def _by_todays_names(item: Json) -> Json:
    """Rename the old field `event_id`, which held Stripe's event, to `stripe_event_id`."""
    if "event_id" not in item or not str(item["kind"]).startswith("event_"):
        return item
    rest = {name: value for name, value in item.items() if name != "event_id"}
    return rest | {"stripe_event_id": item["event_id"]}


def _is_shown(attempt: Json, beginning: Json) -> bool:
    """Say whether the timeline shows an attempt: not if another entry shows its end."""
    decided = "attempt" not in attempt
    return decided or beginning["kind"] == DELIVERY or attempt["outcome"] in FAILED


def _attempt_entry(attempt: Json, beginning: Json) -> Json:
    """Build a timeline entry from an attempt at an item, or from an operator's decision on it."""
    _, name, kind = ITEMS[beginning["kind"]]
    own = attempt if "attempt" not in attempt else attempt | {"kind": kind}
    of = {field: beginning[field] for field in (name, "type") if field in beginning}
    return own | of


def entry(kind: str, **details: Any) -> Json:
    """Build a timeline entry without None fields; the script that writes it adds the time."""
    present = {name: value for name, value in details.items() if value is not None}
    return {"kind": kind} | present


def with_time(item: Json) -> Json:
    """Return an entry of a timeline, an audit or attempts with its time (`at`, RFC 3339, UTC)."""
    if "at_ms" not in item:
        return item
    rest = {name: value for name, value in item.items() if name != "at_ms"}
    return {"at": moment(item["at_ms"])} | rest


def moment(milliseconds: int | str) -> str:
    """Render a time of Redis's as RFC 3339 in UTC."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat(timespec="milliseconds")
