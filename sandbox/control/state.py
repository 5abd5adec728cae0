"""Keep the world over a restart: one JSON file, written whole or not at all."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Final

from sandbox.events_out import deliveries
from sandbox.world.objects import Json
from sandbox.world.world import Account, World

QUIET_SECONDS: Final = 0.5
"""Changes come in bursts; one write serves a burst."""
COST_FACTOR: Final = 10
"""Rest ten times as long as the last write took, so that a large state slows nobody down."""
OWNER_ONLY: Final = 0o600
"""The file holds signing secrets."""


def dump(world: World) -> Json:
    """Return the whole world as plain JSON."""
    return {
        "accounts": [
            {
                "id": account.id,
                "tables": account.tables,
                "notes": account.notes,
                "order": account.order,
            }
            for account in world.accounts.values()
        ],
        "clock": world.clock.dump(),
        "deliveries": world.mail.dump(),
        "answers": world.memory.dump(),
        "acted": world.acted,
    }


def load(world: World, saved: Json) -> None:
    """Make the world what `dump` saw."""
    world.accounts = {entry["id"]: Account(**entry) for entry in saved["accounts"]}
    world.clock.load(saved["clock"])
    world.mail.load(saved["deliveries"])
    deliveries.resume(world)
    world.memory.load(saved["answers"])
    world.acted = saved["acted"]


def clear(world: World) -> None:
    """Forget everything but the registered webhook endpoints."""
    for account in world.accounts.values():
        endpoints = account.table("webhook_endpoint")
        account.tables = {"webhook_endpoint": endpoints}
        account.notes = {key: note for key, note in account.notes.items() if key in endpoints}
        account.order = {key: place for key, place in account.order.items() if key in endpoints}
    world.clock.clear()
    world.mail.forget()
    world.memory.forget()
    world.faults.active.clear()
    world.acted = {}


class Keeper:
    """Write the world's state to a file soon after it changes."""

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._path = path
        self._changed = asyncio.Event()

    def restore(self) -> bool:
        """Load the file if there is one; tells whether there was."""
        if not self._path.exists():
            return False
        load(self._world, json.loads(self._path.read_text()))
        return True

    def changed(self) -> None:
        """Say that there is something to save."""
        self._changed.set()

    async def keep_saving(self) -> None:
        """Save after changes, forever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(QUIET_SECONDS)
            self._changed.clear()
            started = time.monotonic()
            self.save()
            await asyncio.sleep((time.monotonic() - started) * COST_FACTOR)

    def save(self) -> None:
        """Write the state now: into a file beside it, then in its place."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.touch(mode=OWNER_ONLY)
        with fresh.open("w") as file:
            json.dump(dump(self._world), file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
