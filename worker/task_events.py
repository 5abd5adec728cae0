"""Task events for Flower, sent in batches.

Celery publishes two or three messages for each task, which cost more than the task's own work. Here
they wait for up to half a second and go out as one message; Flower reads such batches by itself.
"""

from __future__ import annotations

import threading
from typing import Any

from celery.app.events import Events
from celery.events import EventDispatcher

# A person does not see half a second; at 500 tasks a second it is a batch of about 750.
FLUSH_SECONDS = 0.5
# More at once would make a message of over half a megabyte.
MOST_AT_ONCE = 2_000


class BatchingDispatcher(EventDispatcher):
    """Celery's dispatcher, which gathers the events of tasks whatever pool runs them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        gathered = {
            "buffer_group": ["task"],
            "buffer_limit": MOST_AT_ONCE,
            "on_send_buffered": self._flush_soon,
        }
        self._waiting = threading.Event()
        super().__init__(*arguments, **(options | gathered))

    def close(self) -> None:
        """Send what was gathered, then close."""
        self.flush()
        super().close()

    def _flush_soon(self) -> None:
        if self._waiting.is_set():
            return
        self._waiting.set()
        timer = threading.Timer(FLUSH_SECONDS, self._flush_now)
        timer.daemon = True
        timer.start()

    def _flush_now(self) -> None:
        self._waiting.clear()
        self.flush()


class BatchingEvents(Events):
    """The application's events, with that dispatcher."""

    dispatcher_cls = "worker.task_events:BatchingDispatcher"
