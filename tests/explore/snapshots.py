"""Snapshots of the store: immutable values, numbered, so that a state is a few small integers.

A command of Redis is a function of its keys, its arguments and the time. So each different command
runs once, on a fakeredis with these keys only, and its answer and writes are stored. This also
finds a script that touches a key which it does not declare: a server in cluster mode would refuse
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import fakeredis
import fakeredis._helpers
import fakeredis._socket._base
import fakeredis.commands_mixins.server_mixin
from fakeredis._core._database import Item
from fakeredis.model import ExpiringMembersSet, Hash, ZSet
from redis.crc import key_slot
from redis.exceptions import NoScriptError, ResponseError

from shared.keys import Keys
from shared.work.kinds import KINDS

# The time in milliseconds at which each search begins; its digits are recognised in any text.
BEGINNING_MS = 1_772_366_400_000
QUEUES = tuple(Keys().queue(kind) for kind in KINDS.values())
# No decision depends on these, and without them there are fewer states. A doorbell may ring at any
# time whatever is in the queues (the search lets a worker try any item in any state), and lists for
# a person only grow.
FORGOTTEN = (*QUEUES, ":timeline", ":attempts", ":audit", *(f":index:{kind}" for kind in KINDS))
# The number of a key that does not exist.
NOTHING = 0
# Modules of fakeredis that read the host's clock.
CLOCKS = (
    fakeredis._helpers,
    fakeredis._socket._base,
    fakeredis.commands_mixins.server_mixin,
)
Value = tuple[str, Any, int | None]


class Violated(Exception):
    """A step or a state breaks an invariant; `labels` describes further steps after the path."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.labels: list[str] = []


@dataclass(frozen=True)
class Command:
    """One command of a client, and the keys that it may touch."""

    name: str
    args: tuple[Any, ...]
    keys: tuple[str, ...]
    script: str = ""


@dataclass(frozen=True)
class Effect:
    """The effect of a command: its answer as JSON text, its writes, the items for which it rang."""

    answer: str
    writes: tuple[tuple[int, int], ...]
    bells: tuple[str, ...] = ()


class _Declared(dict):
    """The keys of a database; only declared keys may be touched."""

    declared: frozenset[bytes] = frozenset()

    def _check(self, key: bytes) -> bytes:
        if key not in self.declared:
            raise Violated(f"invariant 16: {key.decode()} is touched and not declared")
        return key

    def __getitem__(self, key: bytes) -> Any:
        return super().__getitem__(self._check(key))

    def __setitem__(self, key: bytes, value: Any) -> None:
        super().__setitem__(self._check(key), value)

    def __delitem__(self, key: bytes) -> None:
        super().__delitem__(self._check(key))

    def __contains__(self, key: object) -> bool:
        return super().__contains__(self._check(bytes(key)))


class Snapshots:
    """Numbers keys and values, and runs commands on snapshots; a snapshot is a tuple of numbers."""

    def __init__(self) -> None:
        self.values: list[Value | None] = [None]
        self.names: list[str] = []
        self._numbers: dict[Value, int] = {}
        self._places: dict[str, int] = {}
        self._effects: dict[tuple[Any, ...], Effect] = {}
        self._now_ms = BEGINNING_MS
        self._server = fakeredis.FakeServer()
        self._redis = fakeredis.FakeStrictRedis(decode_responses=True, server=self._server)
        self._redis.ping()
        self._database = self._server.dbs[0]
        self.ran = 0

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Make fakeredis read the time of the snapshot on which a command runs."""
        before = [module.time for module in CLOCKS]
        for module in CLOCKS:
            module.time = SimpleNamespace(time=lambda: self._now_ms / 1000)
        try:
            yield
        finally:
            for module, clock in zip(CLOCKS, before, strict=True):
                module.time = clock

    def place(self, name: str) -> int:
        """Return the place of a key in a snapshot."""
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = len(self.names)
            self.names.append(name)
        return place

    def number(self, value: Value | None) -> int:
        """Return the number of a value."""
        if value is None:
            return NOTHING
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number

    def get(self, snapshot: tuple[int, ...], name: str) -> Value | None:
        """Read a key of a snapshot."""
        place = self.place(name)
        return self.values[snapshot[place]] if place < len(snapshot) else None

    def run(self, snapshot: tuple[int, ...], now_ms: int, command: Command) -> Effect:
        """Run a command on a snapshot at a time; the same command on the same keys runs once."""
        places = [self.place(name) for name in command.keys]
        hold = tuple(snapshot[p] if p < len(snapshot) else NOTHING for p in places)
        key = (command.args, hold, now_ms)
        effect = self._effects.get(key)
        if effect is None:
            effect = self._effects[key] = self._run(places, hold, now_ms, command)
        return effect

    def _run(
        self, places: list[int], hold: tuple[int, ...], now_ms: int, command: Command
    ) -> Effect:
        self.ran += 1
        if len({key_slot(name.encode()) for name in command.keys}) > 1:
            raise Violated(f"invariant 16: {command.name} has keys in several slots of a cluster")
        self._now_ms = now_ms
        keys = _Declared()
        keys.declared = frozenset(name.encode() for name in command.keys)
        for name, number in zip(command.keys, hold, strict=True):
            if value := self.values[number]:
                keys[name.encode()] = _thawed(value)
        self._database._dict = keys
        self._database._expiry_heap.clear()
        answer = json.dumps(self._answer(command))
        writes: dict[int, int] = {}
        bells: list[str] = []
        for name, place, number in zip(command.keys, places, hold, strict=True):
            item = dict.get(keys, name.encode())
            if item and name.endswith(QUEUES):
                bells += [_rung_for(message) for message in item.value]
            remains = item and not name.endswith(FORGOTTEN)
            after = self.number(_frozen(item) if remains else None)
            if after != number:
                writes[place] = after
        return Effect(answer, tuple(writes.items()), tuple(bells))

    def _answer(self, command: Command) -> Any:
        try:
            return self._redis.execute_command(*command.args)
        except NoScriptError:
            self._redis.script_load(command.script)
            return self._answer(command)
        except ResponseError as error:
            raise Violated(f"invariant 16: {command.name} failed: {error}") from error

    def written(self, snapshot: tuple[int, ...], effect: Effect) -> tuple[int, ...]:
        """Return the snapshot after a command."""
        if not effect.writes:
            return snapshot
        after = [*snapshot, *[NOTHING] * (len(self.names) - len(snapshot))]
        for place, number in effect.writes:
            after[place] = number
        return tuple(after)


def expire(snapshots: Snapshots, snapshot: tuple[int, ...], now_ms: int) -> tuple[int, ...]:
    """Return a snapshot without expired keys."""
    values = snapshots.values
    return tuple(
        NOTHING if (value := values[number]) and value[2] and value[2] < now_ms else number
        for number in snapshot
    )


def _rung_for(message: bytes) -> str:
    """Return the item for which a doorbell rings."""
    return str(json.loads(json.loads(message)["body"])[0][0])


def _frozen(item: Item) -> Value:
    value, ends_at_ms = item.value, item.expireat and round(item.expireat * 1000)
    if isinstance(value, bytes):
        return "string", value.decode(), ends_at_ms
    for kind, (model, freeze, _) in MODELS.items():
        if isinstance(value, model):
            return kind, freeze(value), ends_at_ms
    raise TypeError(f"no search knows a {type(value).__name__}")


def _thawed(value: Value) -> Item:
    kind, content, ends_at_ms = value
    thaw = str.encode if kind == "string" else MODELS[kind][2]
    item = Item(thaw(content))
    item.expireat = ends_at_ms and ends_at_ms / 1000
    return item


def _hash(content: tuple[tuple[str, str], ...]) -> Hash:
    whole = Hash()
    whole._values = {name.encode(): text.encode() for name, text in content}
    return whole


def _sorted_set(content: tuple[tuple[str, float], ...]) -> ZSet:
    whole = ZSet()
    for member, score in content:
        whole.add(member.encode(), score)
    return whole


def _text_pairs(pairs: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name.decode(), text.decode()) for name, text in pairs))


MODELS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "hash": (Hash, lambda value: _text_pairs(value._values.items()), _hash),
    "zset": (
        ZSet,
        lambda value: tuple(sorted((name.decode(), at) for name, at in value._bylex.items())),
        _sorted_set,
    ),
    "list": (
        list,
        lambda value: tuple(text.decode() for text in value),
        lambda content: [text.encode() for text in content],
    ),
    "set": (
        ExpiringMembersSet,
        lambda value: tuple(sorted(name.decode() for name in value._values)),
        lambda content: ExpiringMembersSet({name.encode(): None for name in content}),
    ),
}
