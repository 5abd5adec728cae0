"""Send events for Flower in batches, also for doorbells that Celery did not deliver.

Celery publishes two or three messages for each task, which cost more than the task's own work. Here
they wait for up to half a second and are sent as one message; Flower can read such batches.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.app.events import Events
from celery.events import EventDispatcher, group_from
from celery.signals import worker_ready

from shared.work.doorbell import Bell

# A person does not notice half a second; at 500 tasks a second a batch has about 750 events.
FLUSH_SECONDS = 0.5
# Most events of a batch; more would make a message of over half a megabyte.
MOST_AT_ONCE = 2_000
# Events kept while Redis does not take them, a few seconds' worth; Flower shows the present.
MOST_KEPT = 10_000
# Longest wait for the last batch, so that a stop does not depend on it.
LAST_SECONDS = 1.0
ROUTING_KEY = "task.multi"


class BatchingDispatcher(EventDispatcher):
    """Celery's dispatcher, which collects all events and sends them in a thread of its own.

    Celery's own sends the heartbeats from the loop that reads the queues, and tries until it
    succeeds: with a Redis that does not answer, that loop would not even notice a signal to stop.
    """

    # Celery's own, which its stubs lack.
    producer: Any
    _outbound_buffer: deque[Any]
    _prepare_event: Callable[..., Any]
    _publish: Callable[..., None]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.collected: deque[Any] = deque(maxlen=MOST_KEPT)
        self._waiting = threading.Event()
        self._sending = threading.Lock()
        super().__init__(*arguments, **options)

    def send(self, type: str, *_: Any, retry: Any = None, **fields: Any) -> None:  # noqa: A002, ARG002  # Celery's names; what fails is sent with the next batch
        """Collect an event; it is sent within `FLUSH_SECONDS`."""
        if self.enabled and (not self.groups or group_from(type) in self.groups):
            self.collected.append(self._prepare_event(type, fields))
            self.flush()

    def flush(self, *_: object, **__: object) -> None:
        """Have the collected events sent soon, which takes the caller no time."""
        if not self._waiting.is_set():
            self._waiting.set()
            timer = threading.Timer(FLUSH_SECONDS, self._send_all)
            timer.daemon = True
            timer.start()

    def close(self) -> None:
        """Send the collected events if Redis takes them at once, then close."""
        last = threading.Thread(target=self._send_all, daemon=True)
        last.start()
        last.join(LAST_SECONDS)
        super().close()

    def extend_buffer(self, other: EventDispatcher) -> None:
        """Take over what the dispatcher of a former connection did not send."""
        if isinstance(other, BatchingDispatcher):
            self.collected.extendleft(reversed(other.collected))

    def _send_all(self) -> None:
        with self._sending:
            self._waiting.clear()
            while self.collected and self._send_batch():
                continue

    def _send_batch(self) -> bool:
        """Send the oldest events; keep them when Redis does not take them."""
        size = min(len(self.collected), MOST_AT_ONCE)
        batch = [self.collected.popleft() for _ in range(size)]
        self._publish(batch, self.producer, ROUTING_KEY)
        failed = bool(self._outbound_buffer)  # where Celery puts what it could not publish
        if failed:
            self._outbound_buffer.clear()
            self.collected.extendleft(reversed(batch))
        return not failed


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
