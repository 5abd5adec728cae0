"""Serve doorbells: the one that Celery delivered, then some that wait behind it in the queue.

Celery spends as much on a message as the worker on the item it rings for. So a thread that has
served one doorbell takes the next from the queue itself, one at a time and only for a moment:
no doorbell waits behind an item that takes long, and the other queues get their turn. If the
process dies with a doorbell, the relay rings again, as it does for those that Celery delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.errors import Unavailable
from shared.store.scripts import Store
from shared.work.doorbell import Bell, read_bell
from shared.work.kinds import KINDS
from worker.task_events import TaskEvents

# Most items served for one message. Each then carries a tenth of Celery's cost, and ten messages
# take as long as without this.
MOST = 10
# After this long the thread returns to Celery, which may hold a message of another queue for it.
LONGEST_SECONDS = 0.2


class GivenUp(Exception):
    """The item became a dead letter; Flower shows its task as failed."""


class Bells:
    """Serve the queues of a worker.

    `act(queue, item_id)` makes one attempt and returns the reason if the item became a dead letter.
    """

    def __init__(
        self, store: Store, task_events: TaskEvents, act: Callable[[str, str], str | None]
    ) -> None:
        self._store = store
        self._task_events = task_events
        self._act = act

    def serve(self, queue: str, item_id: str) -> None:
        """Make an attempt for the doorbell that Celery delivered, and for some behind it.

        Raises `GivenUp` when the first item became a dead letter.
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
        """Take the next doorbell; put any other message back for Celery, which sets it aside."""
        name = self._store.keys.queue(KINDS[queue])
        try:
            message = self._store.pop(name)
            bell = read_bell(message, KINDS[queue].message) if message is not None else None
            if message is not None and bell is None:
                self._store.put_back(name, message)
        except Unavailable:
            return None  # Celery reads the same Redis and logs its outage
        return bell
