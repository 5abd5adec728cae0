"""Keep the world over a restart, in a journal of changed parts with their newest values.

A line is `[key, value]`, or `[key]` for a removed part; the last line of a key counts. Lines are
only appended, so that no call waits while the whole state is written. When most lines are out of
date, a new file is written beside the journal, a slice at a time, and replaces it.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from sandbox.events_out import deliveries
from sandbox.world.changes import Key
from sandbox.world.objects import Json
from sandbox.world.world import World

QUIET_SECONDS: Final = 0.1
"""Seconds between two writes: one write for a burst of changes; a kill loses at most these."""
SLICE: Final = 100
"""Parts written at a time, in two or three milliseconds, before other tasks run."""
OUT_OF_DATE: Final = 3
"""Lines for each existing part at which the file is rewritten."""
FEWEST_LINES: Final = 10_000
"""Shorter files are not rewritten."""
OWNER_ONLY: Final = 0o600
"""Mode of the file, which contains signing secrets."""

READERS: Final[dict[str, Callable[..., Any]]] = {
    "thing": lambda world, account, object_id: world.account(account).thing(object_id),
    "job": lambda world, sequence: world.clock.job(sequence),
    "delivery": lambda world, delivery_id: world.mail.deliveries.get(delivery_id),
    "answer": lambda world, account, key: world.memory.answer(account, key),
    "acted": lambda world: world.acted,
    "offset": lambda world: world.clock.offset_seconds,
}
"""The function that reads a part's value, by the kind of its key; None: the part was removed."""


def keys(world: World) -> Iterator[Key]:
    """Yield the keys of all parts of the world."""
    yield from (("acted",), ("offset",))
    for account in list(world.accounts.values()):
        yield from (("thing", account.id, object_id) for object_id in account.ids())
    yield from (("job", sequence) for sequence in world.clock.sequences())
    yield from (("delivery", delivery_id) for delivery_id in list(world.mail.deliveries))
    yield from (("answer", *place) for place in world.memory.places())


def dump(world: World) -> dict[Key, Any]:
    """Return the value of every part."""
    return {key: READERS[key[0]](world, *key[1:]) for key in keys(world)}


def load(world: World, values: dict[Key, Any]) -> None:
    """Load the values of `dump` into a new world."""
    parts: dict[str, dict[Key, Any]] = {sort: {} for sort in READERS}
    for key, value in values.items():
        parts[key[0]][key[1:]] = value
    things: dict[str, Json] = {}
    for (account_id, object_id), thing in parts["thing"].items():
        things.setdefault(account_id, {})[object_id] = thing
    for account_id, account_things in things.items():
        world.account(account_id).load(account_things)
    jobs = {sequence: job for (sequence,), job in parts["job"].items()}
    world.clock.load(parts["offset"].get((), 0.0), jobs)
    world.mail.load({delivery_id: record for (delivery_id,), record in parts["delivery"].items()})
    deliveries.resume(world)
    world.memory.load(
        {(account, key): answer for (account, key), answer in parts["answer"].items()}
    )
    world.acted = parts["acted"].get((), {})


def clear(world: World) -> None:
    """Remove everything except the registered webhook endpoints."""
    for account in world.accounts.values():
        endpoints = account.table("webhook_endpoint")
        for kind, table in account.tables.items():
            for object_id in list(table) if kind != "webhook_endpoint" else ():
                account.remove(kind, object_id)
        for object_id in [name for name in account.notes if name not in endpoints]:
            del account.notes[object_id]
            account.touch(object_id)
    world.clock.clear()
    world.mail.forget()
    world.memory.forget()
    world.faults.active.clear()
    world.key_rights.of.clear()
    world.acted = {}
    world.changes.note("acted")


def read(path: Path) -> dict[Key, Any]:
    """Return the newest value of each part in a file.

    Ignores an incomplete last line, as a kill may leave. Raises `ValueError` for any other damage.
    """
    values: dict[Key, Any] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                break
            key, *value = json.loads(line)
            if value:
                values[tuple(key)] = value[0]
            else:
                values.pop(tuple(key), None)
    return values


class Keeper:
    """Write the changes of the world to a file soon after they happen."""

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._path = path
        self._changed = asyncio.Event()
        self._file: IO[str] | None = None
        self._lines = 0

    def restore(self) -> bool:
        """Load the file if it exists, and write changes to it from now on.

        Returns whether it existed.
        """
        there = self._path.exists()
        if there:
            load(self._world, read(self._path))
        self._world.changes.collected = True
        self._file = self._fresh()
        self._write(self._file, keys(self._world))
        self._replace(self._file)
        return there

    def changed(self) -> None:
        """Signal that there are changes to write."""
        self._changed.set()

    async def keep_saving(self) -> None:
        """Write changes soon after they happen, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(QUIET_SECONDS)
            self._changed.clear()
            for _ in iter(self._append, False):
                await asyncio.sleep(0)
            if self._lines > FEWEST_LINES:
                await self._tidy()

    def close(self) -> None:
        """Write the remaining changes and sync them to disk."""
        while self._append():
            pass
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _append(self, *also: IO[str]) -> bool:
        """Write the next changes; return whether there were any."""
        changes = self._world.changes.take(SLICE)
        if self._file is None or not changes:
            return False
        for file in (self._file, *also):
            self._write(file, changes)
        return True

    async def _tidy(self) -> None:
        """Rewrite the file if most of its lines are out of date."""
        all_keys = list(keys(self._world))
        if self._lines < OUT_OF_DATE * len(all_keys):
            return
        self._lines, fresh = 0, self._fresh()
        for start in range(0, len(all_keys), SLICE):
            self._write(fresh, all_keys[start : start + SLICE])
            # Changes during this go into both files: the old one counts until it is replaced.
            while self._append(fresh):
                pass
            await asyncio.sleep(0)
        await asyncio.to_thread(os.fsync, fresh.fileno())
        while self._append(fresh):
            pass
        self._replace(fresh)

    def _write(self, file: IO[str], parts: Iterable[Key]) -> None:
        for key in parts:
            value = READERS[key[0]](self._world, *key[1:])
            line = [key] if value is None else [key, value]
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._lines += 1
        file.flush()

    def _fresh(self) -> IO[str]:
        """Open an empty file beside ours."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        path = self._path.with_name(self._path.name + ".new")
        path.unlink(missing_ok=True)
        path.touch(mode=OWNER_ONLY)
        return path.open("w", encoding="utf-8")

    def _replace(self, fresh: IO[str]) -> None:
        """Replace our file by the new one."""
        if self._file is not None and self._file is not fresh:
            self._file.close()
        self._file = fresh
        self._path.with_name(self._path.name + ".new").replace(self._path)
