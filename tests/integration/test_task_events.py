"""Task events for Flower: complete, in few messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from tests.conftest import make_settings
from tests.servers import wait_until
from tests.stopwatch import Stopwatch
from worker.queue_app import queue_app
from worker.task_events import (
    FLUSH_SECONDS,
    MOST_AT_ONCE,
    MOST_KEPT,
    BatchingDispatcher,
)

COUNT = 300
# Shorter than the limit of a call to Redis.
PAUSE_MS = 3500


@pytest.fixture
def app(valkey_url: str) -> Celery:
    """Return an application with our dispatcher of task events, on the test's own Redis."""
    return queue_app(make_settings(redis_url=valkey_url))


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


@contextmanager
def refusing(redis: Redis) -> Iterator[None]:
    """Have Redis refuse what a dispatcher sends."""
    redis.execute_command("ACL SETUSER default -publish")
    try:
        yield
    finally:
        redis.execute_command("ACL SETUSER default +publish")


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


def test_an_event_takes_its_sender_no_time_while_redis_does_not_answer(
    app: Celery, listener: Listener, valkey_url: str
) -> None:
    with app.connection_for_write() as connection, Redis.from_url(valkey_url) as redis:
        dispatcher = app.events.Dispatcher(connection, hostname="one")
        dispatcher.send("worker-online", uuid="0")
        listener.wait_for(1)
        before = threading.active_count()
        redis.client_pause(PAUSE_MS)
        answers_at = time.monotonic() + PAUSE_MS / 1000
        for number in range(1, 4):
            time.sleep(FLUSH_SECONDS)  # so that one is being sent when the next one comes
            dispatcher.send("worker-heartbeat", uuid=str(number), retry=True)
        assert time.monotonic() < answers_at
        # One that sends and one that waits to; others of this process may end meanwhile.
        assert threading.active_count() <= before + 2
        expected = ["worker-online 0"] + [f"worker-heartbeat {number}" for number in range(1, 4)]
        assert listener.wait_for(4) == expected


def test_what_redis_refused_is_sent_with_the_next_event(
    app: Celery, listener: Listener, valkey_url: str
) -> None:
    with app.connection_for_write() as connection, Redis.from_url(valkey_url) as redis:
        dispatcher = app.events.Dispatcher(connection, hostname="one")
        with refusing(redis):
            for number in range(MOST_KEPT + 5):
                dispatcher.send("task-started", uuid=str(number))
            dispatcher._send_all()
        dispatcher.send("task-started", uuid="last")
        lines = listener.wait_for(MOST_KEPT)
    assert lines[-1] == "task-started last"
    assert len(lines) == MOST_KEPT, "no more is kept"


def test_a_dispatcher_takes_over_what_the_former_one_did_not_send(
    app: Celery, listener: Listener, valkey_url: str
) -> None:
    with app.connection_for_write() as connection, Redis.from_url(valkey_url) as redis:
        former = app.events.Dispatcher(connection, hostname="one")
        with refusing(redis):
            former.send("task-started", uuid="1")
            former.close()
        following = app.events.Dispatcher(connection, hostname="one")
        following.extend_buffer(former)
        following.flush()
        assert listener.wait_for(1) == ["task-started 1"]
