"""Task events for Flower: complete, in few messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from shared.store.connection import broker_settings
from tests.conftest import make_settings
from tests.servers import wait_until
from tests.stopwatch import Stopwatch
from worker.task_events import FLUSH_SECONDS, MOST_AT_ONCE, BatchingDispatcher, BatchingEvents

COUNT = 300


@pytest.fixture
def app(valkey_url: str) -> Celery:
    """Return an application with our dispatcher of task events, on the test's own Redis."""
    app = Celery("tests", events=BatchingEvents, set_as_current=False)
    app.conf.update(broker_settings(make_settings(redis_url=valkey_url)))
    return app


class Listener(threading.Thread):
    """Receives the task events as Flower does."""

    def __init__(self, app: Celery) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self._app = app

    def run(self) -> None:
        with self._app.connection_for_read() as connection:
            self._receiver = self._app.events.Receiver(connection, handlers={"*": self._hear})
            self._receiver.capture(limit=None, timeout=None, wakeup=False)

    def stop(self) -> None:
        self._receiver.should_stop = True
        self.join()

    def _hear(self, event: dict[str, Any]) -> None:
        self.lines.append(f"{event['type']} {event['uuid']}")

    def wait_for(self, count: int) -> list[str]:
        return wait_until(lambda: self.lines if len(self.lines) >= count else [], f"{count} events")


@pytest.fixture
def listener(app: Celery, valkey_url: str) -> Iterator[Listener]:
    """Start a listener, and wait until it receives."""
    listener = Listener(app)
    listener.start()
    with Redis.from_url(valkey_url) as redis:
        wait_until(redis.pubsub_numpat, "the listener listens")
    yield listener
    listener.stop()


def published(valkey_url: str) -> int:
    with Redis.from_url(valkey_url) as redis:
        return int(redis.info("commandstats").get("cmdstat_publish", {}).get("calls", 0))


def test_every_event_is_heard_and_few_messages_are_sent(
    app: Celery, listener: Listener, valkey_url: str
) -> None:
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="one")
        assert isinstance(dispatcher, BatchingDispatcher)
        before = published(valkey_url)
        for number in range(COUNT):
            dispatcher.send("task-received", uuid=str(number), name="billing.deliver")
        lines = listener.wait_for(COUNT)
    assert lines == [f"task-received {number}" for number in range(COUNT)]
    assert published(valkey_url) - before == 1


def test_batch_follows_batch(app: Celery, listener: Listener) -> None:
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="one")
        for number in range(3):
            dispatcher.send("task-succeeded", uuid=str(number))
            assert len(listener.wait_for(number + 1)) == number + 1


def test_what_was_gathered_is_heard_when_the_worker_ends(app: Celery, listener: Listener) -> None:
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="one")
        dispatcher.send("task-succeeded", uuid="1")
        dispatcher.close()
        with Stopwatch() as watch:
            assert listener.wait_for(1) == ["task-succeeded 1"]
    assert watch.seconds < FLUSH_SECONDS, "its timer sent it, not its end"


def test_a_batch_is_never_larger_than_its_limit(
    app: Celery, listener: Listener, valkey_url: str
) -> None:
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="one")
        before = published(valkey_url)
        for number in range(MOST_AT_ONCE + 1):
            dispatcher.send("task-started", uuid=str(number))
        assert len(listener.wait_for(MOST_AT_ONCE + 1)) == MOST_AT_ONCE + 1
    assert published(valkey_url) - before >= 2


def test_threads_lose_nothing_of_one_another(app: Celery, listener: Listener) -> None:
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="one")

        def tell(name: int) -> None:
            for number in range(COUNT):
                dispatcher.send("task-started", uuid=f"{name}.{number}")

        threads = [threading.Thread(target=tell, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = listener.wait_for(4 * COUNT)
    assert len(lines) == len(set(lines)) == 4 * COUNT
