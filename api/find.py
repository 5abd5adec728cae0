"""Find the payments and items that an id, an e-mail address or a word belongs to.

An id or a whole value is looked up in the indexes, in a few round trips. Only a text without a
match there, such as a part of a value, is searched for in the newest work and payments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from api.list_models import Match
from shared.settings import Settings
from shared.store.scripts import Store, redis_errors
from shared.work.dead_letters import KIND_OF_PREFIX, LETTER_KINDS, DeadLetters, ItemFilter
from shared.work.kinds import EVENTS, REFUNDS
from shared.work.payment_index import PaymentFilter, PaymentIndex
from shared.work.payments import ITEMS, Payments

Json = dict[str, Any]
# Most items of a kind, and most payments, that a search reads: about half a second.
MOST_ITEMS = 10_000
# Most matches of an answer: a person cannot tell more apart.
MOST_MATCHES = 20
EVENT_FIELDS = ("state", "type", "payment_id", "object", "request_id", "stripe_request_id")
ITEM_FIELDS = ("state", "type", "payment_id", "request_id", "refund_id")
PAYMENT_ID = re.compile(r"(pi|ch|py|cs)_\w+")
CHARGE_ID = re.compile(r"(ch|py)_\w+")
REFUND_ID = re.compile(r"(re|pyr)_\w+")
REQUEST_ID = re.compile(r"[\w.-]{4,200}")
BY_VALUE = "it has this e-mail address or metadata"


@dataclass(frozen=True)
class Finder:
    """Look a text up in events, refund jobs, notifications and payments."""

    store: Store
    payments: Payments
    index: PaymentIndex
    settings: Settings

    def find(self, text: str) -> tuple[list[Match], bool]:
        """Find each item that a text belongs to once; say whether the search was complete.

        Raises `Unavailable`.
        """
        if exact := _distinct(self._exact_matches(text)):
            return exact, True
        return _distinct(self._partial_matches(text)), self._is_complete()

    def _exact_matches(self, text: str) -> Iterator[Match]:
        """Find the items and payments with exactly this id or value."""
        yield from self._item_of_id(text)
        yield from self._owners(text)
        yield from self._of_request(text)
        for criteria in self._values(text):
            for payment in islice(self.index.walk(criteria), MOST_MATCHES):
                yield Match(kind="payment", id=payment.record.id, because=BY_VALUE)

    def _partial_matches(self, text: str) -> Iterator[Match]:
        """Find the text in the newest work and payments."""
        yield from self._of_events(text)
        for kind in ("refunds", "notifications"):
            yield from self._of_items(kind, text)
        yield from self._of_payments(text)

    def _item_of_id(self, text: str) -> Iterator[Match]:
        """Find the item with exactly this id."""
        kind = KIND_OF_PREFIX.get(text.partition("_")[0])
        if kind is not None and re.fullmatch(r"\w{4,128}", text):
            name = self.store.keys.item(kind, text)
            if self.store.fields(name, "state")[0]:
                yield Match(kind="item", id=text, because="it has this id")
        elif PAYMENT_ID.fullmatch(text) and self.payments.read(text).known:
            yield Match(kind="payment", id=text, because="it has this id")

    def _owners(self, text: str) -> Iterator[Match]:
        """Find the payment of a charge, a refund, a dispute, a session or a review."""
        if REFUND_ID.fullmatch(text):
            job = self.store.get(self.store.keys.refund_of(text))
            if job:
                yield Match(kind="item", id=job, because="it made this refund")
        if CHARGE_ID.fullmatch(text):
            intent = self.payments.intent_of(text)
            if intent:
                yield Match(kind="payment", id=intent, because="this is its charge")
        if re.fullmatch(r"[a-z]+_\w+", text):
            for payment in islice(self.index.walk(PaymentFilter(id=text)), MOST_MATCHES):
                yield Match(kind="payment", id=payment.record.id, because="this belongs to it")

    def _of_request(self, text: str) -> Iterator[Match]:
        """Find the payment of a request, and the work that the request caused."""
        payment_id = REQUEST_ID.fullmatch(text) and self.payments.payment_of_request(text)
        if not payment_id:
            return
        yield Match(kind="payment", id=payment_id, because="this request was about it")
        for item_id, kind in self._work_of(payment_id, text):
            is_event = kind == EVENTS.name
            because = "it came of this request"
            yield Match(kind="event" if is_event else "item", id=item_id, because=because)

    def _work_of(self, payment_id: str, request_id: str) -> Iterator[tuple[str, str]]:
        """Return a payment's events and refund jobs that a request caused, with their kinds."""
        entries = [one for one in self.payments.entries(payment_id) if one["kind"] in ITEMS]
        kinds = {one[ITEMS[one["kind"]][1]]: ITEMS[one["kind"]][0] for one in entries}
        work = [(name, kind) for name, kind in kinds.items() if kind in (EVENTS, REFUNDS)]
        with redis_errors():
            pipe = self.store.redis.pipeline(transaction=False)
            for name, kind in work:
                pipe.hmget(self.store.keys.item(kind, name), "request_id", "stripe_request_id")
            rows = pipe.execute()
        for (name, kind), row in zip(work, rows, strict=True):
            if request_id in row:
                yield name, kind.name

    def _values(self, text: str) -> Iterator[PaymentFilter]:
        yield PaymentFilter(email=text)
        for key in self.settings.indexed_metadata:
            yield PaymentFilter(metadata={key: text})

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
        """Find the payments whose state contains the text as a part of an address or a value."""
        part = text.lower()
        for payment in islice(self.index.walk(PaymentFilter()), MOST_ITEMS):
            if _holds(payment.record.known, part):
                because = "its data contain the text"
                yield Match(kind="payment", id=payment.record.id, because=because)

    def _walk(self, kind: str, fields: tuple[str, ...]) -> Iterator[Json]:
        items = DeadLetters(self.store).walk(LETTER_KINDS[kind], ItemFilter(), fields=fields)
        return islice(items, MOST_ITEMS)

    def _is_complete(self) -> bool:
        """Say whether a search reads all events, jobs, notifications and payments."""
        keys = self.store.keys
        names = [keys.index(kind) for kind in LETTER_KINDS.values()]
        with redis_errors():
            pipe = self.store.redis.pipeline(transaction=False)
            for name in names:
                pipe.zcard(name)
            counts = pipe.execute()
        return max(*map(int, counts), self.index.count()) <= MOST_ITEMS


def _distinct(matches: Iterator[Match]) -> list[Match]:
    """Take each match once, exact matches first, up to the most of an answer."""
    by_id: dict[str, Match] = {}
    for match in matches:
        by_id.setdefault(match.id, match)
        if len(by_id) == MOST_MATCHES:
            break
    return list(by_id.values())


def _holds(value: Any, part: str) -> bool:
    """Say whether a value, or an object's id, in a payment's state contains the text."""
    if isinstance(value, dict):
        is_field = part.partition("_")[2] and part in map(str.lower, value)
        return bool(is_field) or any(_holds(one, part) for one in value.values())
    if isinstance(value, list):
        return any(_holds(one, part) for one in value)
    return isinstance(value, str) and part in value.lower()
