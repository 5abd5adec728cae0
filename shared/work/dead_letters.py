"""Dead letters: find and show work that was given up and needs an operator.

A dead event, refund job or notification keeps its payload, and every attempt with its error.
`api/redrive.py` redrives them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from shared.errors import CallerError
from shared.store.scripts import Store, redis_errors
from shared.work.items import Work
from shared.work.items import item_id as checked
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS, Kind
from shared.work.payments import moment, with_time

Json = dict[str, Any]
# The kinds of items that can be dead letters; upkeep is never given up.
LETTER_KINDS = {kind.name: kind for kind in (EVENTS, REFUNDS, NOTIFICATIONS)}
KIND_OF_PREFIX = {"evt": EVENTS, "rr": REFUNDS, "ntf": NOTIFICATIONS}
SUMMARY = ("state", "type", "payment_id", "error", "attempts", "account", "redriven_at")
# Items read in one round trip: Redis answers within a few milliseconds.
CHUNK = 500
# Most items that one search reads: about two seconds, and more than a person can act on.
SCAN_LIMIT = 50_000
# Internal fields of an item, which are not shown.
INTERNAL = (
    "id",
    "body",
    "request",
    "fence",
    "token",
    "redrive_token",
    "lease_until",
    "delay_ms",
)


@dataclass(frozen=True)
class ItemFilter:
    """Filters of items; an item must match all of them.

    `type` is a pattern (`payment_intent.*`), `error` a part of the last error, case is ignored;
    times are Redis's, in milliseconds: of a dead letter its end, of an event its recording.
    """

    kind: Kind | None = None
    type: str | None = None
    state: str | None = None
    error: str | None = None
    payment_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def matches(self, item: Json) -> bool:
        """Say whether an item's summary matches all filters."""
        return (
            (self.type is None or fnmatchcase(item["type"] or "", self.type))
            and self.state in (None, item["state"])
            and self.payment_id in (None, item["payment_id"])
            and (self.error is None or self.error.lower() in (item["error"] or "").lower())
        )


@dataclass(frozen=True)
class SearchResult:
    """The items of a search; `complete` is false when there are more than the search reads."""

    items: list[Json]
    matched: int
    complete: bool


class DeadLetters:
    """Find dead letters, and inspect any item of work, dead or not."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, criteria: ItemFilter, limit: int, *, newest_first: bool = True) -> SearchResult:
        """Find dead letters: return at most `limit` of them, and count all that match.

        Raises `Unavailable`.
        """
        kinds = [criteria.kind] if criteria.kind else list(LETTER_KINDS.values())
        matched, complete = [], True
        for kind in kinds:
            items = self.walk(
                kind, criteria, index=self._store.keys.dead(kind), newest=newest_first
            )
            for number, item in enumerate(items, start=1):
                if criteria.matches(item):
                    matched.append(item)
                complete = complete and number < SCAN_LIMIT
        matched.sort(key=lambda item: item["at_ms"], reverse=newest_first)
        return SearchResult(
            [_summary(item, "dead_at") for item in matched[:limit]], len(matched), complete
        )

    def events(self, criteria: ItemFilter, limit: int) -> SearchResult:
        """Find stored events of any state, newest first.

        Raises `Unavailable`.
        """
        matched: list[Json] = []
        for number, item in enumerate(self.walk(EVENTS, criteria), start=1):
            if number > SCAN_LIMIT:
                return SearchResult(matched, len(matched), complete=False)
            if criteria.matches(item):
                matched.append(_summary(item, "recorded_at"))
            if len(matched) == limit:
                return SearchResult(matched, limit, complete=False)
        return SearchResult(matched, len(matched), complete=True)

    def walk(
        self,
        kind: Kind,
        criteria: ItemFilter,
        *,
        index: str | None = None,
        fields: Sequence[str] = SUMMARY,
        newest: bool = True,
    ) -> Iterator[Json]:
        """Walk the items of a kind in order of their times, reading some fields of each in chunks.

        By default these are all items by the time of their recording, newest first, at most one
        more than `SCAN_LIMIT`. Of `criteria` only the times are used. Raises `Unavailable`.
        """
        low = "-inf" if criteria.since_ms is None else criteria.since_ms
        high = "+inf" if criteria.until_ms is None else criteria.until_ms
        for start in range(0, SCAN_LIMIT + 1, CHUNK):
            bounds = (high, low) if newest else (low, high)
            with redis_errors():
                chunk = cast(
                    list[tuple[str, float]],
                    self._store.redis.zrange(
                        index or self._store.keys.index(kind),
                        *bounds,
                        desc=newest,
                        byscore=True,
                        offset=start,
                        num=CHUNK,
                        withscores=True,
                    ),
                )
            yield from self._read(kind, chunk, fields)
            if len(chunk) < CHUNK:
                return

    def _read(
        self, kind: Kind, chunk: list[tuple[str, float]], fields: Sequence[str]
    ) -> Iterator[Json]:
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            for item_id, _ in chunk:
                pipe.hmget(self._store.keys.item(kind, item_id), *fields)
            rows = pipe.execute()
        for (item_id, at), row in zip(chunk, rows, strict=True):
            values = dict(zip(fields, row, strict=True))
            if values["state"]:
                yield {"kind": kind.name, "id": item_id, "at_ms": int(at)} | values

    def inspect(self, item_id: str) -> Json:
        """Return one item with its payload, and every attempt with its error.

        Raises `CallerError` 404 for an unknown item, and `Unavailable`.
        """
        kind = kind_of(item_id)
        fields = self._store.hash(self._store.keys.item(kind, item_id))
        if not fields:
            raise CallerError("No item has this id.", status=404, code="item_not_found")
        body = self._store.get(self._store.keys.body(kind, item_id))
        payload = body or fields.get("body") or fields.get("request")
        details = {name: value for name, value in fields.items() if name not in INTERNAL}
        for name in [name for name in details if name.endswith("_at")]:
            details[name] = moment(details[name])
        return details | {
            "kind": kind.name,
            "id": item_id,
            "attempts": int(fields.get("attempts", 0)),
            "payload": _readable(str(payload)) if payload else None,
            "history": [with_time(one) for one in Work(self._store, kind).attempts(item_id)],
        }

    def count(self) -> dict[str, int]:
        """Count the dead letters of each kind. Raises `Unavailable`."""
        with redis_errors():
            return {
                name: int(self._store.redis.zcard(self._store.keys.dead(kind)))
                for name, kind in KINDS.items()
            }


def _readable(payload: str) -> Json:
    """Parse a payload to show; return one that is no JSON as text."""
    try:
        content = json.loads(payload, parse_constant=str, parse_float=_number)
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {"unreadable": payload}


def _number(text: str) -> float | str:
    """Parse a number; leave one as text that JSON cannot express."""
    number = float(text)
    return number if math.isfinite(number) else text


def kind_of(item_id: str) -> Kind:
    """Return the kind of an item by its id. Raises `CallerError` for any other text."""
    kind = KIND_OF_PREFIX.get(item_id.partition("_")[0])
    if kind is None:
        raise CallerError(
            "An id starts with evt_ (event), rr_ (refund job) or ntf_ (notification).",
            code="invalid_id",
        )
    checked(item_id)
    return kind


def _summary(item: Json, at: str) -> Json:
    summary = {name: value for name, value in item.items() if name != "at_ms"}
    summary["attempts"] = int(item["attempts"] or 0)
    summary["redriven_at"] = moment(item["redriven_at"]) if item["redriven_at"] else None
    return summary | {at: moment(item["at_ms"])}
