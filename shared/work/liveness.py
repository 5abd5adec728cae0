"""Signs of life: which queues have workers, and whether a relay runs.

A worker gives a sign on a queue whenever it runs a task of it, at most once in a few seconds; on an
idle queue the relay rings with a pulse, a message for no item. So a sign shows that messages of
this queue reach a task, not only that a process exists or a connection is open.

Upkeep is checked first: while no relay runs, an idle queue gets no pulse, and its silence does not
mean that it has no workers.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import cast

from shared.store.scripts import Call, Store, redis_errors
from shared.work.kinds import KINDS

# No item has this id: a worker that claims it finds nothing to do.
PULSE_ID = "pulse"
# Seconds between two signs of one worker on one queue, and between two pulses on an idle queue.
SIGN_SECONDS = 5.0
PULSE_MS = 10_000
# Seconds of silence after which a queue or relay counts as dead: three pulses on a busy machine.
SILENT_SECONDS = 45.0
# Milliseconds of silence after which a process is forgotten.
FORGOTTEN_MS = 600_000
# Not a queue: the relay itself.
RELAY = "relay"
# Not a queue either: under this name a worker reports that all its threads are stuck.
STUCK = "stuck"
# Most seconds by which a sign may be in the future, because the clocks of two Redis servers differ.
# A sign further ahead was given before the clock was set back, and is ignored.
AHEAD_SECONDS = 5.0


@cache
def process_name() -> str:
    """Name this process: its host and its number."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Signs:
    """Write signs of life of this process: one write in a few seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def give(self, name: str) -> None:
        """Write a sign of life on a queue, unless one is a moment old. Raises `Unavailable`."""
        now = time.monotonic()
        with self._lock:
            if now - self._last.get(name, -SIGN_SECONDS) < SIGN_SECONDS:
                return
            self._last[name] = now
        keys = self._store.keys
        names = {"signs": keys.signs(name), "clocks": keys.clocks()}
        args = [process_name(), round(time.time() * 1000), FORGOTTEN_MS]
        self._store.run(Call("sign", names, args))


def pulse(store: Store) -> None:
    """Ring on every idle queue for no item, so that its workers give a sign.

    A queue with messages in it gets no pulse, so a queue without workers gets only one. Raises
    `Unavailable`.
    """
    keys, kinds = store.keys, KINDS.values()
    names = {"pulse": keys.pulse(), "queue": [keys.queue(kind) for kind in kinds]}
    store.run(Call("pulse", names, [PULSE_MS, PULSE_ID, *(kind.message for kind in kinds)]))


@dataclass(frozen=True)
class Alive:
    """Signs of life: seconds since the last one, by process; empty without any.

    `stuck` has the signs of stuck workers. `clocks` has the seconds by which the clock of each
    living process is ahead of Redis's.
    """

    queues: dict[str, dict[str, float]]
    upkeep: dict[str, float]
    stuck: dict[str, float]
    clocks: dict[str, float]

    def upkeep_is_silent(self) -> bool:
        """Say whether no relay gave a recent sign; idle queues cannot be judged then."""
        return is_silent(self.upkeep)

    def quiet_queues(self) -> list[str]:
        """List the queues without a recent sign of a worker, whatever the reason."""
        return [name for name, signs in self.queues.items() if is_silent(signs)]

    def silent_queues(self) -> list[str]:
        """List the queues that no worker serves, as far as known."""
        return [] if self.upkeep_is_silent() else self.quiet_queues()

    def stuck_processes(self) -> list[str]:
        """List the workers whose threads all made no progress lately."""
        return sorted(who for who, age in self.stuck.items() if is_recent(age))


def is_silent(signs: dict[str, float]) -> bool:
    """Say whether no sign is recent."""
    return not any(is_recent(age) for age in signs.values())


def is_recent(age_seconds: float) -> bool:
    """Say whether a sign of this age shows life."""
    return -AHEAD_SECONDS < age_seconds < SILENT_SECONDS


def alive(store: Store) -> Alive:
    """Read all signs of life. Raises `Unavailable`."""
    with redis_errors():
        pipe = store.redis.pipeline(transaction=False)
        for name in (*KINDS, RELAY, STUCK):
            pipe.zrange(store.keys.signs(name), 0, -1, withscores=True)
        rows = cast(list[list[tuple[str, float]]], pipe.execute())
    now = store.now_ms()
    *queues, upkeep, stuck = [{who: (now - at) / 1000 for who, at in row} for row in rows]
    living = {who for signs in (*queues, upkeep) for who, age in signs.items() if is_recent(age)}
    offsets = store.hash(store.keys.clocks())
    clocks = {who: int(offset) / 1000 for who, offset in offsets.items() if who in living}
    return Alive(dict(zip(KINDS, queues, strict=True)), upkeep, stuck, clocks)
