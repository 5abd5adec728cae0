"""Find what an id, an e-mail address or a word belongs to, in what is recorded here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from api.known_payments import KnownPayments
from api.list_models import Match
from shared.store.scripts import Store
from shared.work.dead_letters import KIND_OF_PREFIX, LETTER_KINDS, DeadLetters, ItemFilter
from shared.work.payments import Payments

Json = dict[str, Any]
# Items of a kind that are looked at: half a second of reading.
MOST_ITEMS = 10_000
# Timelines that are read to find who asked for a payment: a round trip each.
MOST_TIMELINES = 500
# Matches that are told: more cannot be told apart by a person.
MOST_MATCHES = 20
EVENT_FIELDS = ("state", "type", "payment_id", "object", "request_id", "stripe_request_id")
ITEM_FIELDS = ("state", "type", "payment_id", "request_id", "refund_id")
PAYMENT_ID = re.compile(r"(pi|ch|py|cs)_\w+")
REQUEST_ID = re.compile(r"req_\w+")


@dataclass(frozen=True)
class Finder:
    """Look a text up in events, refund jobs, notifications and what is known of payments."""

    store: Store
    payments: Payments

    def find(self, text: str) -> list[Match]:
        """Find what a text belongs to, each thing once, the surest first. Raises `Unavailable`."""
        matches: dict[str, Match] = {}
        for match in self._matches(text):
            matches.setdefault(match.id, match)
            if len(matches) == MOST_MATCHES:
                break
        return list(matches.values())

    def _matches(self, text: str) -> Iterator[Match]:
        yield from self._named(text)
        yield from self._of_events(text)
        for kind in ("refunds", "notifications"):
            yield from self._of_items(kind, text)
        yield from self._of_payments(text)
        if REQUEST_ID.fullmatch(text):
            yield from self._requested(text)

    def _named(self, text: str) -> Iterator[Match]:
        """Find the thing that has this very id."""
        kind = KIND_OF_PREFIX.get(text.partition("_")[0])
        if kind is not None and re.fullmatch(r"\w{4,128}", text):
            name = self.store.keys.item(kind, text)
            if self.store.fields(name, "state")[0]:
                yield Match(kind="item", id=text, because="it has this id")
        elif PAYMENT_ID.fullmatch(text) and self.payments.read(text).known:
            yield Match(kind="payment", id=text, because="it has this id")

    def _of_events(self, text: str) -> Iterator[Match]:
        for event in self._walk("events", EVENT_FIELDS):
            if text == event["object"]:
                because = f"an event of it, {event['type']}, is about this"
            elif text in (event["request_id"], event["stripe_request_id"]):
                because = f"its event {event['type']} came of this request"
                yield Match(kind="event", id=event["id"], because="it came of this request")
            else:
                continue
            if event["payment_id"]:
                yield Match(kind="payment", id=event["payment_id"], because=because)

    def _of_items(self, kind: str, text: str) -> Iterator[Match]:
        for item in self._walk(kind, ITEM_FIELDS):
            if text == item["request_id"]:
                yield Match(kind="item", id=item["id"], because="it came of this request")
            elif text == item["refund_id"]:
                yield Match(kind="item", id=item["id"], because="it made this refund")

    def _of_payments(self, text: str) -> Iterator[Match]:
        """Find the payments in whose state the text stands: an id, an e-mail address, a value."""
        wanted = text.lower()
        for heard in KnownPayments(self.store, self.payments).heard(ItemFilter()):
            if _holds(heard.record.known, wanted):
                because = "this stands in what is known of it"
                yield Match(kind="payment", id=heard.record.id, because=because)

    def _requested(self, request_id: str) -> Iterator[Match]:
        """Find the payments that a request of a caller's made: their timelines say so."""
        heard_last = KnownPayments(self.store, self.payments).heard(ItemFilter())
        for heard in islice(heard_last, MOST_TIMELINES):
            timeline = self.store.entries(self.store.keys.timeline(heard.record.id))
            if any(entry.get("request_id") == request_id for entry in timeline):
                because = "this request asked for it"
                yield Match(kind="payment", id=heard.record.id, because=because)

    def _walk(self, kind: str, fields: tuple[str, ...]) -> Iterator[Json]:
        items = DeadLetters(self.store).walk(LETTER_KINDS[kind], ItemFilter(), fields=fields)
        return islice(items, MOST_ITEMS)


def _holds(known: Any, wanted: str) -> bool:
    """Say whether a text stands in a value, or in the name of a subject, of what is known."""
    if isinstance(known, dict):
        named = wanted.partition("_")[2] and wanted in map(str.lower, known)
        return bool(named) or any(_holds(value, wanted) for value in known.values())
    if isinstance(known, list):
        return any(_holds(value, wanted) for value in known)
    return isinstance(known, str) and wanted in known.lower()
