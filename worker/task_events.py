"""Send task events for Flower in batches, also for doorbells that Celery did not deliver.

Celery publishes two or three messages for each task, which cost more than the task's own work. Here
they wait for up to half a second and are sent as one message; Flower can read such batches.
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

# A person does not notice half a second; at 500 tasks a second a batch has about 750 events.
FLUSH_SECONDS = 0.5
# Most events of a batch; more would make a message of over half a megabyte.
MOST_AT_ONCE = 2_000


class BatchingDispatcher(EventDispatcher):
    """Celery's dispatcher, which collects the events of tasks with every kind of pool."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        gathered = {
            "buffer_group": ["task"],
            "buffer_limit": MOST_AT_ONCE,
            "on_send_buffered": self._flush_soon,
        }
        self._waiting = threading.Event()
        super().__init__(*arguments, **(options | gathered))

    def close(self) -> None:
        """Send the collected events, then close."""
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
    """The application's events with `BatchingDispatcher`."""

    dispatcher_cls = "worker.task_events:BatchingDispatcher"


class TaskEvents:
    """Report to Flower the tasks that this worker begins without Celery."""

    def __init__(self) -> None:
        self._consumer: Any = None
        worker_ready.connect(self._remember)

    def _remember(self, sender: Any = None, **_: object) -> None:
        """Keep Celery's consumer rather than its dispatcher, which each reconnect replaces."""
        self._consumer = sender

    def begin(self, task: str, bell: Bell) -> Callable[[str | None], None]:
        """Report the beginning of a task; return a function that reports its end.

        The function takes the reason if the item became a dead letter, else None.
        """
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
