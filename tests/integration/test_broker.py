"""What our channel reads from a queue: doorbells, and what else is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from kombu import Connection
from redis.exceptions import ResponseError

from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.kinds import EVENTS, REFUNDS
from tests.integration.test_worker_endurance import GARBAGE
from tests.servers import PATIENCE_SECONDS
from worker import broker
from worker.queue_app import queue_app

BELL = EVENTS.message.replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag")
# Messages that kombu decodes, which the form of a doorbell alone refuses.
DECODED = (
    "5",
    "[]",
    "null",
    "{}",
    '{"body": 5, "properties": {}}',
    REFUNDS.message.replace("@@ID@@", "rr_1").replace("@@TAG@@", "tag"),
)
WITH_BYTES = '{"body": "x", "headers": {"task": {"__type__": "bytes", "__value__": "x"}}}'
# One for each kind of error that kombu raises for such a message.
FAILURES = (
    ("garbage", "garbage"),
    (b"\xff\xfe", "\ufffd\ufffd"),
    ('{"__type__": "decimal", "__value__": "x"}', "(["),
    ('{"__type__": "datetime", "__value__": null}', "("),
    ('{"__type__": ["bytes"], "__value__": "x"}', "("),
    ("[" * 100_000, "("),
)


@pytest.fixture
def connection(
    settings: Settings, real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    """Connect as a worker that reads the queue of events, and read nothing yet."""
    # Another test of this process may have used kombu's own transport, which it remembers.
    monkeypatch.setattr("kombu.transport._transport_cache", {})
    monkeypatch.setattr(broker, "PAUSE_SECONDS", 0)
    with queue_app(settings).connection_for_read() as opened:
        opened.default_channel.basic_consume(EVENTS.name, False, lambda message: None, "tag")
        yield opened


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Collect what is set aside, as (queue, message)."""
    messages: list[tuple[str, str]] = []
    put = staticmethod(lambda queue, message: messages.append((queue, message)))
    monkeypatch.setattr(broker.Aside, "put", put)
    return messages


def read(connection: Connection, store: Store, message: str | bytes) -> None:
    """Push a message, and read it as Celery does."""
    store.redis.lpush(store.keys.queue(EVENTS), message)
    connection.drain_events(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("message", DECODED, ids=range(len(DECODED)))
def test_a_message_that_is_no_doorbell_is_set_aside_as_it_came(
    connection: Connection, real_store: Store, aside: list[tuple[str, str]], message: str
) -> None:
    read(connection, real_store, message)
    ((queue, text),) = aside
    assert (queue, json.loads(text)) == (EVENTS.name, json.loads(message))


def test_a_message_with_bytes_in_it_is_set_aside(
    connection: Connection, real_store: Store, aside: list[tuple[str, str]]
) -> None:
    read(connection, real_store, WITH_BYTES)
    assert json.loads(aside[0][1])["body"] == "x"


@pytest.mark.parametrize(("message", "start"), FAILURES, ids=range(len(FAILURES)))
def test_a_message_that_kombu_cannot_decode_is_set_aside_with_its_text_or_the_error(
    connection: Connection,
    real_store: Store,
    aside: list[tuple[str, str]],
    message: str | bytes,
    start: str,
) -> None:
    read(connection, real_store, message)
    ((queue, text),) = aside
    assert queue == EVENTS.name
    assert text.startswith(start)


def test_garbage_has_a_message_of_each_kind() -> None:
    assert {message for message, _ in FAILURES} <= set(GARBAGE)


def test_an_error_answer_of_redis_is_an_outage(connection: Connection, real_store: Store) -> None:
    """Celery connects anew, for Sentinels may name another primary by now."""
    real_store.redis.set(real_store.keys.queue(EVENTS), "x")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        connection.drain_events(timeout=PATIENCE_SECONDS)


def test_a_stop_restores_no_message(connection: Connection, real_store: Store) -> None:
    """Kombu would write it in a form that is no doorbell; the relay rings again."""
    read(connection, real_store, BELL)
    assert len(connection.default_channel.qos._delivered) == 1
    connection.close()
    assert real_store.redis.llen(real_store.keys.queue(EVENTS)) == 0
