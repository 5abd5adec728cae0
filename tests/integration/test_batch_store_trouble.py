"""Redis refuses writes or sleeps at each step of a batch, which then refunds each payment once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from redis import Redis

from shared.errors import Unavailable
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.scripts import Store
from tests import servers
from tests.integration import batching as b
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from worker import refund_batches
from worker.runtime import Runtime

Trouble = Callable[[Redis], Callable[[], object]]


def full(redis: Redis) -> Callable[[], object]:
    redis.set("ballast", "x" * 100_000)
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] - 50_000)
    return lambda: redis.config_set("maxmemory", 0)


def without_replicas(redis: Redis) -> Callable[[], object]:
    redis.config_set("min-replicas-to-write", 1)
    return lambda: redis.config_set("min-replicas-to-write", 0)


def read_only(redis: Redis) -> Callable[[], object]:
    redis.execute_command("REPLICAOF", "127.0.0.1", "9")
    return lambda: redis.execute_command("REPLICAOF", "NO", "ONE")


def asleep(redis: Redis) -> Callable[[], object]:
    process = int(redis.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    return lambda: os.kill(process, signal.SIGCONT)


TROUBLES = (full, without_replicas, read_only, asleep)
VERBS = ("pause", "resume", "retry", "cancel")


@pytest.fixture
def own(settings: Settings, sandbox: str, receiver: str) -> Iterator[Hands]:
    """Run the service on a Valkey that only this test troubles."""
    with servers.valkey(cluster=False) as url:  # in cluster mode it refuses REPLICAOF
        ours = settings.model_copy(update={"redis_url": url, "redis_timeout_seconds": 0.3})
        with connect(ours, "tests") as client:
            store = Store(client)
            runtime = Runtime(ours, store)
            yield Hands(open_door(ours, store), runtime, sandbox, receiver)
            runtime.event_service.close()


@contextmanager
def troubled(hands: Hands, trouble: Trouble) -> Iterator[None]:
    end = trouble(hands.runtime.store.redis)
    try:
        yield
    finally:
        end()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_start_that_redis_refuses_is_repeated_under_its_key(own: Hands, trouble: Trouble) -> None:
    payments = b.pay(own, 3)
    with troubled(own, trouble):
        answer = b.start(own, key="k", payments=payments)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    servers.wait_until(
        lambda: b.start(own, key="k", payments=payments).status_code == 202, "the batch starts"
    )
    (batch,) = own.client.get("/api/refund/batches").get_json()["data"]
    assert b.run(own, batch["batch_id"])["counts"]["refunded"] == 3
    assert [b.refunded(own, one) for one in payments] == [[1000]] * 3


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_batch_is_carried_through_when_redis_refuses_each_of_its_steps(
    own: Hands, trouble: Trouble
) -> None:
    """Each route answers, upkeep gives up its run, and the next one goes on."""
    payments = b.pay(own, 3)
    batch = b.started(own, payments=payments)
    for step in range(12):
        with troubled(own, trouble):
            with suppress(Unavailable):
                refund_batches.run_once(own.runtime)
            answers = [b.post(own, batch, "pause").status_code]
            answers.append(own.client.get(f"/api/refund/batches/{batch}").status_code)
            assert set(answers) <= {200, 409, 503}, (step, answers)
        if b.look(own, batch)["state"] == "paused":
            assert b.post(own, batch, "resume").status_code == 200
        own.ring() if step % 2 else refund_batches.run_once(own.runtime)
    state = b.run(own, batch)
    assert (state["state"], state["counts"]["refunded"]) == ("completed", 3)
    assert [b.refunded(own, one) for one in payments] == [[1000]] * 3
