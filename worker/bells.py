"""Serve doorbells: the one that Celery brought, then some that wait behind it in the queue.

Celery's own work for a message costs as much as the item it rings for. So a thread that has served
one takes the next from the queue by itself, one at a time, and only for a moment: nothing waits
behind an item that takes long, and the other queues get their turn. A bell that is lost with its
process is rung again by the relay, as Celery's are.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.errors import Unavailable
from shared.store.scripts import Store
from shared.work.doorbell import Bell, read_bell
from shared.work.kinds import KINDS
from worker.task_events import TaskEvents

# Items served for one message: a tenth of Celery's work for each, and ten of its messages go as
# fast as they did alone.
MOST = 10
# After this long the thread goes back to Celery, which may have brought it another queue's message.
LONGEST_SECONDS = 0.2


class GivenUp(Exception):
    """The item is a dead letter now: Flower shows its task among the failed ones."""


class Bells:
    """Serve the queues of a worker; `act(queue, item_id)` says why an item was given up."""

    def __init__(
        self, store: Store, task_events: TaskEvents, act: Callable[[str, str], str | None]
    ) -> None:
        self._store = store
        self._task_events = task_events
        self._act = act

    def serve(self, queue: str, item_id: str) -> None:
        """Act for the bell that Celery brought, and for some that wait behind it.

        Raises `GivenUp` when the first item was given up.
        """
        ends_at = time.monotonic() + LONGEST_SECONDS
        given_up = self._act(queue, item_id)
        if given_up is not None:
            raise GivenUp(f"{item_id}: {given_up}")
        for _ in range(MOST - 1):
            bell = self._next(queue) if time.monotonic() < ends_at else None
            if bell is None:
                return
            end = self._task_events.begin(KINDS[queue].task, bell)
            end(self._act(queue, bell.item_id))

    def _next(self, queue: str) -> Bell | None:
        """Take the next bell; what is none is put back for Celery, which has a way with garbage."""
        name = self._store.keys.queue(KINDS[queue])
        try:
            message = self._store.pop(name)
            bell = read_bell(message, KINDS[queue].message) if message is not None else None
            if message is not None and bell is None:
                self._store.put_back(name, message)
        except Unavailable:
            return None  # Celery reads the same Redis, and tells of its outage
        return bell
