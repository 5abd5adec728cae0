"""The content of a state in the terms of the product: items, indexes, payments."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from shared.keys import Keys
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS, Kind
from tests.explore.search import State
from tests.explore.snapshots import Snapshots

KEYS = Keys()
OPEN = ("received", "queued", "retrying", "processing", "waiting")
WORKED = (EVENTS, REFUNDS, NOTIFICATIONS)


class Names:
    """The places of a snapshot that have items, by kind."""

    def __init__(self, snapshots: Snapshots) -> None:
        self.snapshots = snapshots
        self._read = 0
        self._items: dict[str, list[tuple[int, str]]] = {name: [] for name in KINDS}
        self._decoded: dict[int, Any] = {}

    def items(self, kind: Kind) -> list[tuple[int, str]]:
        """List the places and ids of the items of a kind in any snapshot."""
        names = self.snapshots.names
        while self._read < len(names):
            parts = names[self._read].split(":")
            for each in KINDS.values():
                if len(parts) == 3 and parts[1] == each.item:
                    self._items[each.name].append((self._read, parts[2]))
            self._read += 1
        return self._items[kind.name]

    def decoded(self, number: int) -> Any:
        """Return a hash as a dict, any other value unchanged; None when there is none."""
        content_of = self._decoded.get(number)
        if content_of is None and (value := self.snapshots.values[number]):
            kind, content, _ = value
            content_of = dict(content) if kind in ("hash", "zset") else content
            self._decoded[number] = content_of
        return content_of


class View:
    """One state that can be read."""

    def __init__(self, names: Names, state: State) -> None:
        self._names = names
        self.state = state

    def number(self, name: str) -> int:
        """Return the number of a key's value."""
        place, snapshot = self._names.snapshots.place(name), self.state.snapshot
        return snapshot[place] if place < len(snapshot) else 0

    def read(self, name: str) -> Any:
        """Read a key; None when there is none."""
        return self._names.decoded(self.number(name))

    def ends_at_ms(self, name: str) -> int | None:
        """Return the time at which a key expires; None when it does not."""
        value = self._names.snapshots.values[self.number(name)]
        return value and value[2]

    def item(self, kind: Kind, item_id: str) -> dict[str, str]:
        """Read an item; empty when there is none."""
        return self.read(KEYS.item(kind, item_id)) or {}

    def items(self, kind: Kind) -> dict[str, dict[str, str]]:
        """Read all items of a kind."""
        snapshot = self.state.snapshot
        places = self._names.items(kind)
        numbers = {one: snapshot[place] for place, one in places if place < len(snapshot)}
        return {one: self._names.decoded(number) for one, number in numbers.items() if number}

    def due(self, kind: Kind) -> dict[str, float]:
        """Read the due index of a kind."""
        return self.read(KEYS.due(kind)) or {}

    def dead(self, kind: Kind) -> dict[str, float]:
        """Read the dead letters of a kind."""
        return self.read(KEYS.dead(kind)) or {}

    def outbox(self, payment_id: str) -> tuple[str, ...]:
        """Read the unfinished notifications of a payment, the next one first."""
        return self.read(KEYS.outbox(payment_id)) or ()

    @cached_property
    def notifications(self) -> dict[str, dict[str, str]]:
        """Read all notifications."""
        return self.items(NOTIFICATIONS)
