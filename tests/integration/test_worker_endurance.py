"""A real worker with a Redis that answers with errors, or has garbage in the queues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared.keys import Keys
from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.kinds import EVENTS, KINDS, REFUNDS
from tests.servers import CLUSTER_MODE, process, valkey, wait_until
from worker.broker import is_doorbell
from worker.queue_app import queue_app

GARBAGE: list[str | bytes] = [
    "garbage",
    b"\xff\xfe",
    "",
    "5",
    "[]",
    "null",
    "{}",
    '{"body": 5, "properties": {}}',
    '{"body": "", "headers": null, "properties": null}',
    '{"body": "x", "headers": {"task": "other.task"}, "properties": {"delivery_tag": "t"}}',
    "[" * 100_000,
    # kombu's JSON makes Python objects of these, or fails to.
    '{"__type__": "bytes", "__value__": "x"}',
    '{"__type__": "bytes", "__value__": 5}',
    '{"__type__": "decimal", "__value__": "x"}',
    '{"__type__": "decimal", "__value__": "5"}',
    '{"__type__": "datetime", "__value__": null}',
    '{"__type__": "uuid", "__value__": [1]}',
    '{"__type__": ["bytes"], "__value__": "x"}',
    '{"__type__": "nobody", "__value__": "x"}',
    '{"body": "x", "headers": {"task": {"__type__": "bytes", "__value__": "x"}}}',
    (
        '{"body": "x", "headers": {"task": "billing.process_event"}, "properties":'
        ' {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "base64"}}'
    ),
]
# Each passes for a doorbell until Celery reads on.
BROKEN_BELLS = (
    {"body": "no JSON"},
    {"body": "[]"},
    {"content-type": 5},
    {"content-encoding": {}},
    {"headers": {"task": "billing.process_event"}},
    {"properties": {"delivery_tag": "t", "delivery_info": {}}},
    {"properties": {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "none"}},
)
COMMAND: dict[str, Any] = {
    "body": json.dumps({"method": "ping", "arguments": {}, "destination": ["nobody"]}),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    "headers": {},
    "properties": {"delivery_tag": "tag", "delivery_info": {"exchange": "celery.pidbox"}},
}
# What an older or newer Celery, or a person, could send to all workers at once.
BROADCASTS = (
    *GARBAGE,
    json.dumps(COMMAND | {"body": "no JSON"}),
    json.dumps(COMMAND | {"body": "[]"}),
    json.dumps(COMMAND | {"body": '{"method": 5}'}),
    json.dumps(COMMAND | {"body": '{"method": "ping", "arguments": 5}'}),
    json.dumps(COMMAND | {"body": '{"method": "nobody"}'}),
    json.dumps(COMMAND | {"body": '{"method": "ping", "reply_to": 5, "ticket": 5}'}),
    json.dumps(COMMAND | {"body": '{"method": "ping", "destination": 5}'}),
    json.dumps(COMMAND | {"headers": {"clock": "x"}}),
    json.dumps(COMMAND | {"headers": None}),
    json.dumps(COMMAND | {"content-type": "nobody/x"}),
    json.dumps(COMMAND | {"content-encoding": "nobody"}),
    json.dumps(COMMAND | {"properties": None}),
    json.dumps(COMMAND | {"properties": COMMAND["properties"] | {"body_encoding": "none"}}),
)
# As container platforms give before they kill.
GRACE_SECONDS = 30
# Celery sends a heartbeat every two seconds.
HEARTBEATS_SECONDS = 5
# What the worker's log says of a refused read, and of any refused command.
READ_FAILED, LOST = "queue_refused", "Connection to broker lost"
ONE_SERVER = pytest.mark.skipif(CLUSTER_MODE, reason="a cluster's server refuses REPLICAOF")


@dataclass
class Place:
    """A worker with a Redis of its own."""

    redis: Redis
    worker: subprocess.Popen[str]
    log: Path
    keys: Keys

    def rings(self, name: str) -> None:
        """Ring for an unknown item; it is answered when it was read and dropped."""
        message = EVENTS.message.replace("@@ID@@", name).replace("@@TAG@@", name)
        queue = self.keys.queue(EVENTS)
        wait_until(lambda: self._pushed(queue, message), "the bell can be pushed")
        wait_until(lambda: self.redis.llen(queue) == 0, f"the worker reads {name}")
        assert self.worker.poll() is None

    def _pushed(self, queue: str, message: str) -> bool:
        try:
            return bool(self.redis.lpush(queue, message))
        except Exception:  # noqa: BLE001 - whatever the test made Redis say
            return False


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    log = tmp_path / "worker.log"
    with valkey() as url, Redis.from_url(url) as redis:
        environment = {
            "REDIS_URL": url,
            "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
            "WORKER_QUEUES": "events",
            "TMPDIR": str(tmp_path),
            "BILLING_ENV_FILE": "",
        }
        arguments = [sys.executable, "-m", "worker"]
        with process(*arguments, environment=environment, log=log) as worker:
            started_place = Place(redis, worker, log, Keys())
            started_place.rings("first")
            wait_until(lambda: " ready." in log.read_text(), "the worker has started")
            yield started_place
            assert "EMERGENCY" not in log.read_text()
            assert list(tmp_path.iterdir()) == [log]


def test_garbage_is_put_aside_and_the_next_bell_is_heard(place: Place) -> None:
    queue, garbage = place.keys.queue(EVENTS), place.keys.garbage()
    for message in GARBAGE:
        place.redis.lpush(queue, message)
    place.rings("after")
    wait_until(lambda: place.redis.llen(garbage) >= len(GARBAGE), "all of it is put aside")
    entries = [json.loads(entry) for entry in place.redis.lrange(garbage, 0, -1)]
    assert len(entries) == len(GARBAGE)
    assert "garbage" in [entry["message"] for entry in entries]
    assert {entry["queue"] for entry in entries} == {"events"}
    assert all(len(entry["message"]) <= 2000 for entry in entries)


def test_a_worker_outlives_doorbells_that_celery_refuses(place: Place) -> None:
    bell = json.loads(EVENTS.message.replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag"))
    for number, broken in enumerate(BROKEN_BELLS):
        place.redis.lpush(place.keys.queue(EVENTS), json.dumps(bell | broken))
        place.rings(f"after_{number}")


def test_a_worker_outlives_broadcasts_that_celery_cannot_read(place: Place) -> None:
    channel = f"{place.keys.prefix}/0.celery.pidbox"
    for number, message in enumerate(BROADCASTS):
        listeners = wait_until(lambda m=message: place.redis.publish(channel, m), "it listens")
        assert listeners == 1
        place.rings(f"after_{number}")


def test_a_message_that_arrives_during_a_stop_is_put_back_as_it_came(
    real_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another test of this process may have used kombu's own transport, which it remembers.
    monkeypatch.setattr("kombu.transport._transport_cache", {})
    app = queue_app(settings)
    message = EVENTS.message.replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag")
    with app.connection_for_read() as connection:
        # Its consumer is cancelled already, so nobody is called with what it reads last.
        connection.default_channel  # noqa: B018  # opens it
        connection.transport._deliver(json.loads(message), EVENTS.name)
    assert real_store.redis.lrange(real_store.keys.queue(EVENTS), 0, -1) == [message]


def test_a_doorbell_that_an_older_worker_put_back_is_one() -> None:
    message = json.loads(EVENTS.message)
    assert is_doorbell(message | {"body": message["body"].encode()}, EVENTS.name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "end", "words"),
    [
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", READ_FAILED),
        pytest.param("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", READ_FAILED, marks=ONE_SERVER),
        ("ACL SETUSER default -brpop", "ACL SETUSER default +brpop", READ_FAILED),
        # Whichever command comes first is refused, and a heartbeat may come before the next read.
        ("ACL SETUSER default -@all +acl", "ACL SETUSER default +@all", LOST),
    ],
)
def test_a_worker_outlives_what_redis_answers(
    place: Place, trouble: str, end: str, words: str
) -> None:
    place.redis.execute_command(*trouble.split())
    wait_until(lambda: words in place.log.read_text(), "the worker meets it")
    place.redis.execute_command(*end.split())
    place.rings("after")


def test_a_worker_outlives_a_key_of_another_type_and_a_cut_wait(place: Place) -> None:
    queue = place.keys.queue(EVENTS)
    place.redis.set(queue, "x")
    wait_until(lambda: "WRONGTYPE" in place.log.read_text(), "the worker meets it")
    place.redis.delete(queue)
    place.rings("between")

    def cut() -> bool:
        waiting = [c for c in place.redis.client_list() if c["cmd"] == "brpop"]
        return any(place.redis.client_unblock(int(c["id"]), error=True) for c in waiting)

    wait_until(cut, "a wait is cut")
    place.rings("after")


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGHUP,),
        (signal.SIGQUIT,),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGINT, signal.SIGTERM),
    ],
)
def test_every_signal_to_stop_is_a_warm_stop(
    place: Place, numbers: tuple[signal.Signals, ...]
) -> None:
    for number in numbers:
        place.worker.send_signal(number)
    assert place.worker.wait(20) == 0
    assert "worker_stopped" in place.log.read_text()
    assert "Traceback" not in place.log.read_text()


@pytest.mark.long
def test_a_worker_ends_in_time_though_redis_does_not_answer(place: Place) -> None:
    store = int(place.redis.info("server")["process_id"])
    os.kill(store, signal.SIGSTOP)
    try:
        time.sleep(HEARTBEATS_SECONDS)
        place.worker.terminate()
        assert place.worker.wait(GRACE_SECONDS) == 0
    finally:
        os.kill(store, signal.SIGCONT)
    assert "Traceback" not in place.log.read_text()


def test_an_end_that_nobody_asked_for_has_a_status_and_a_last_line(
    valkey_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    broken = (
        "import worker.broker as b, worker.__main__ as m\n"
        "def fails(self, **_): raise RuntimeError('a defect')\n"
        "b._Survivor._brpop_read = fails\n"
        "m.main()\n"
    )
    environment = {
        "REDIS_URL": valkey_url,
        "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
        "WORKER_QUEUES": "events",
    }
    with process(sys.executable, "-c", broken, environment=environment, log=log) as worker:
        assert worker.wait(30) == 1
    assert "a defect" in log.read_text()
    assert "worker_ended_unasked" in log.read_text().splitlines()[-1]


def test_a_worker_reads_a_unix_socket_with_a_login(tmp_path: Path) -> None:
    socket, log = tmp_path / "r.sock", tmp_path / "worker.log"
    user = "--user billing on >p@ss ~* &* +@all".split()
    # A server in cluster mode has no other database than 0.
    with (
        valkey("--unixsocket", str(socket), *user, cluster=False) as url,
        Redis.from_url(url) as redis,
    ):
        environment = {
            "REDIS_URL": f"unix://billing:p%40ss@{socket}?db=3",
            "STRIPE_SECRET_KEY": "sk_test_tests_0123456789",
            "WORKER_QUEUES": "events",
            "BILLING_ENV_FILE": "",
        }
        with process(sys.executable, "-m", "worker", environment=environment, log=log):
            redis.select(3)
            message = EVENTS.message.replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag")
            queue = Keys().queue(EVENTS)
            redis.lpush(queue, message)
            wait_until(lambda: redis.llen(queue) == 0, "the worker reads the bell")


@pytest.mark.parametrize("kind", KINDS.values())
def test_our_own_message_is_one(kind: Any) -> None:
    own = json.loads(kind.message.replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag"))
    assert is_doorbell(own, kind.name)
    other = REFUNDS if kind is EVENTS else EVENTS
    assert not is_doorbell(own, other.name)
