"""Task events for Flower, sent in batches, and for bells that Celery did not bring.

Celery publishes two or three messages for each task, which cost more than the task's own work. Here
they wait for up to half a second and go out as one message; Flower reads such batches by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.app.events import Events
from celery.events import EventDispatcher
from celery.signals import worker_ready

from shared.work.doorbell import Bell

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


class TaskEvents:
    """Tell Flower of a task that this worker began by itself, as Celery tells of its own."""

    def __init__(self) -> None:
        self._consumer: Any = None
        worker_ready.connect(self._remember)

    def _remember(self, sender: Any = None, **_: object) -> None:
        """Remember Celery's consumer: it has another dispatcher after each reconnect."""
        self._consumer = sender

    def begin(self, task: str, bell: Bell) -> Callable[[str | None], None]:
        """Tell that a task began; give what tells its end, with why its item was given up."""
        dispatcher = getattr(self._consumer, "event_dispatcher", None)
        if dispatcher is None or not dispatcher.enabled:
            return lambda _: None
        send, started = partial(dispatcher.send, uuid=bell.tag), time.monotonic()
        send(
            "task-received",
            name=task,
            args=f"('{bell.item_id}',)",
            kwargs="{}",
            root_id=bell.tag,
            retries=0,
        )
        send("task-started")

        def end(given_up: str | None) -> None:
            if given_up is None:
                send("task-succeeded", result="None", runtime=time.monotonic() - started)
            else:
                send("task-failed", exception=given_up, traceback="")

        return end
