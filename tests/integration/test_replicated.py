"""A primary and a replica: a number that is sent is on both, whichever of them remains."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import RedisError

from local.embedded_valkey import valkey_binary
from shared.errors import Unavailable
from shared.store.connection import open_store
from shared.store.durability import inspect
from shared.store.scripts import Call, Store
from shared.work.batch import Member, MemberState
from shared.work.batches import Batches, NewBatch, batch_id
from shared.work.kinds import NOTIFICATIONS
from shared.work.refund_jobs import RefundJobs, RefundRequest
from tests import servers
from tests.conftest import make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.servers import valkey, wait_until
from worker.runtime import Runtime

Json = dict[str, Any]
# By default a primary waits 5 s for more replicas before it sends its data.
AT_ONCE = ("--repl-diskless-sync-delay", "0")


@dataclass
class Pair:
    """Two servers, the second a replica of the first."""

    primary: str
    replica: str

    def promote(self) -> None:
        """Make the replica a primary: from now on it gets no writes of the other."""
        with Redis.from_url(self.replica) as redis:
            redis.replicaof("NO", "ONE")

    @contextmanager
    def frozen_replica(self) -> Iterator[None]:
        """Freeze the replica for the duration of the block."""
        with Redis.from_url(self.replica) as redis:
            pid = int(redis.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Run both servers, empty, with the replica in sync."""
    with valkey(*AT_ONCE, cluster=False) as primary:
        port = str(urlsplit(primary).port)
        with valkey("--replicaof", "127.0.0.1", port, cluster=False) as replica:
            with Redis.from_url(replica) as redis:
                wait_until(
                    lambda: redis.info("replication")["master_link_status"] == "up",
                    "the replica follows",
                )
            yield Pair(primary, replica)


@contextmanager
def working_on(url: str, sandbox: str, receiver: str, replicas: int = 1) -> Iterator[Hands]:
    """Run the service on one of the servers."""
    settings = make_settings(
        redis_url=url,
        stripe_api_base=sandbox,
        event_service_url=receiver,
        redis_replicas_required=replicas,
        retry_base_seconds=0.05,
        retry_cap_seconds=0.05,
    )
    store = open_store(settings, "tests")
    runtime = Runtime(settings, store)
    yield Hands(open_door(settings, store), runtime, sandbox, receiver)
    runtime.event_service.close()
    store.redis.close()


def sequences(hands: Hands) -> dict[str, set[int]]:
    """Return every `sequence` with which each notification was sent."""
    by_id: dict[str, set[int]] = {}
    for item in hands.notifications():
        by_id.setdefault(item["id"], set()).add(item["body"]["sequence"])
    return by_id


def test_nothing_is_told_before_the_replica_has_it(pair: Pair, sandbox: str, receiver: str) -> None:
    with working_on(pair.primary, sandbox, receiver) as hands:
        assert hands.pay().status_code == 200
        hands.deliver_events("payment_intent.succeeded")
        with pair.frozen_replica():
            while hands.ring():
                pass
            assert hands.notified_types() == []
            store = hands.runtime.store
            (waiting,) = store.redis.zrange(store.keys.due(NOTIFICATIONS), 0, -1)
            state = store.hash(store.keys.item(NOTIFICATIONS, str(waiting)))
            assert (state["state"], state["attempts"]) == ("retrying", "0")
        hands.work()
        assert hands.notified_types() == ["payment.succeeded"]


def test_a_number_once_sent_stays_its_notifications_over_a_failover(
    pair: Pair, sandbox: str, receiver: str
) -> None:
    """The primary continues alone for a while, as behind a network partition."""
    with working_on(pair.primary, sandbox, receiver) as hands:
        payment = hands.pay().get_json()["payment_intent_id"]
        created, *_ = (e for e in hands.events() if e["type"] == "payment_intent.succeeded")
        hands.post_event(created)
        pair.promote()
        while hands.ring():  # the event is settled, and its notification is due
            pass
    with working_on(pair.replica, sandbox, receiver, replicas=0) as hands:
        hands.runtime.gateway.create_refund(
            params={"payment_intent": payment, "amount": 100}, idempotency_key="k"
        )
        refunded = [e for e in hands.events() if e["type"] == "refund.created"]
        for event in [*refunded, created]:  # in the other order
            hands.post_event(event)
            hands.work()
        by_id = sequences(hands)
    assert len(by_id) == 2
    assert all(len(numbers) == 1 for numbers in by_id.values())
    assert len(set.union(*by_id.values())) == 2


def test_one_server_without_required_replicas_waits_for_none(hands: Hands) -> None:
    calls: list[Call] = []
    hands.pay()
    hands.deliver_events("payment_intent.succeeded")
    hands.runtime.store.run_durably = calls.append  # type: ignore[method-assign,assignment]  # our own
    hands.work()
    assert sequences(hands)
    assert calls == []


def what_is_found(url: str, required: int) -> dict[str, str]:
    """Return the levels of the doctor's findings about replicas, by their first words."""
    store = open_store(make_settings(redis_url=url, redis_replicas_required=required), "tests")
    findings = {f.what: f.level for f in inspect(store) if "replica" in f.what}
    store.redis.close()
    return {what.partition(":")[0]: level for what, level in findings.items()}


def test_replicas_are_compared_with_those_that_must_confirm(pair: Pair) -> None:
    findings = what_is_found(pair.primary, 0)
    assert findings == {"1 replica(s) follow, REDIS_REPLICAS_REQUIRED is 0": "warning"}
    findings = what_is_found(pair.primary, 1)
    assert findings == {"1 replica(s) follow, REDIS_REPLICAS_REQUIRED is 1": "warning"}
    findings = what_is_found(pair.primary, 2)
    assert findings == {"1 replica(s) follow, REDIS_REPLICAS_REQUIRED is 2": "error"}


def test_a_primary_that_goes_on_alone_is_found(pair: Pair) -> None:
    port = str(urlsplit(pair.primary).port)
    with valkey("--replicaof", "127.0.0.1", port, cluster=False):
        with Redis.from_url(pair.primary) as redis:
            wait_until(
                lambda: redis.info("replication")["connected_slaves"] == 2,
                "both follow",
            )
            findings = what_is_found(pair.primary, 1)
            assert findings == {
                "2 replica(s) follow, REDIS_REPLICAS_REQUIRED is 1": "ok",
                "min-replicas-to-write 0": "warning",
            }
            redis.config_set("min-replicas-to-write", 1)
        assert what_is_found(pair.primary, 1)["min-replicas-to-write 1"] == "ok"


def test_one_server_alone_has_no_finding_about_replicas(valkey_url: str) -> None:
    assert what_is_found(valkey_url, 0) == {}


@pytest.fixture
def watched(pair: Pair, tmp_path: Path) -> Iterator[str]:
    """Let a Sentinel watch the pair; give the URL that asks the Sentinel for the primary."""
    port, primary = servers.free_port(), urlsplit(pair.primary).port
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor billing 127.0.0.1 {primary} 1\n"
    )
    server = [str(valkey_binary()), str(configuration), "--sentinel"]
    with servers.process(*server, log=tmp_path / "log"), Redis(port=port) as sentinel:
        wait_until(lambda: _knows_replica(sentinel), "the Sentinel knows both")
        yield f"sentinel://127.0.0.1:{port}/0?service=billing"


def _knows_replica(sentinel: Redis) -> bool:
    try:
        return len(sentinel.sentinel_slaves("billing")) == 1
    except RedisError:  # it has not started yet
        return False


def _ordered(sentinel: Redis) -> bool:
    try:
        return bool(sentinel.execute_command("SENTINEL", "FAILOVER", "billing"))
    except RedisError:  # it does not know the replica yet
        return False


def test_scripts_and_reads_follow_the_primary_that_sentinels_name(watched: str, pair: Pair) -> None:
    store = open_store(make_settings(redis_url=watched), "tests")
    name = store.keys.made("k")
    store.put(name, "before", 60)
    assert store.get(name) == "before"
    with Redis.from_url(pair.replica) as replica:
        wait_until(lambda: replica.get(name) == b"before", "the replica has it")
    port = urlsplit(watched).port
    with Redis(port=int(str(port))) as sentinel:
        wait_until(lambda: _ordered(sentinel), "the fail-over begins")

    def written() -> bool:
        try:
            store.put(name, "after", 60)
        except Unavailable:
            return False
        with Redis.from_url(pair.replica) as promoted:
            return promoted.get(name) == b"after"

    wait_until(written, "the promoted server is written to")
    assert store.get(name) == "after"
    store.redis.close()


def test_a_connection_whose_health_check_fails_is_replaced(
    real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is with a connection that has been idle for long and whose server is gone."""
    real_store.get("{billing}:x")
    real_store.redis.client_kill_filter(_type="normal", skipme=True)
    checked_at = time.monotonic() + 3600
    monkeypatch.setattr("redis.connection.time.monotonic", lambda: checked_at)
    assert real_store.get("{billing}:x") is None


def test_no_refund_is_accepted_before_the_replica_has_it(real_store: Store) -> None:
    alone, settings = Store(real_store.redis, replicas_required=1), make_settings()
    member = Member("pi_1", MemberState.NOT_BEGUN, 100, "sgd")
    terms = json.dumps({"event_id": None, "reason": None, "metadata": {}})
    batch = NewBatch(batch_id("shop", "key"), {"terms": terms}, [member])
    with pytest.raises(Unavailable, match="store_not_replicated"):
        RefundJobs(alone, settings).record("rr_1", RefundRequest("pi_1"))
    with pytest.raises(Unavailable, match="store_not_replicated"):
        Batches(alone, settings).record(batch)
