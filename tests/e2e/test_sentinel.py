"""A fail-over by Sentinel under load: the primary is killed, and no accepted work is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from redis.exceptions import RedisError

from local.embedded_valkey import valkey_binary
from tests.e2e.parts import billing, pay_as_a_good_client
from tests.servers import free_ports, process, wait_until

SERVER = str(valkey_binary())
SENTINELS = 3
PAYMENTS = 25


@dataclass
class Cluster:
    """A primary, a replica and three Sentinels on loopback."""

    primary: Any
    replica_port: int
    sentinel_port: int
    url: str
    log: list[str] = field(default_factory=list)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a replicated Valkey with Sentinels that decide within a second."""
    first, second = free_ports(2)
    options = [
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]
    with ExitStack() as stack:
        for name in ("one", "two"):
            (folder / name).mkdir()
        primary = stack.enter_context(
            process(SERVER, "--port", str(first), "--dir", str(folder / "one"), *options)
        )
        replica = ["--port", str(second), "--dir", str(folder / "two"), *options]
        stack.enter_context(
            process(SERVER, *replica, "--replicaof", "127.0.0.1", str(first), log=folder / "log")
        )
        with Redis(port=second) as client:
            wait_until(lambda: _synchronised(client), "the replica follows")
        ports = free_ports(SENTINELS)
        for port in ports:
            stack.enter_context(_sentinel(folder / f"sentinel-{port}.conf", port, first))
        for port in ports:
            with Redis(port=port, decode_responses=True) as sentinel:
                wait_until(partial(_sees_all, sentinel), "the Sentinels see one another")
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        yield Cluster(primary, second, ports[0], f"sentinel://{hosts}/0?service=billing")


def _synchronised(client: Redis) -> bool:
    try:
        return client.info("replication").get("master_link_status") == "up"
    except RedisError:  # it has not started yet
        return False


def _sees_all(sentinel: Redis) -> bool:
    try:
        items = sentinel.execute_command("SENTINEL", "MASTERS")[0]
    except RedisError:  # it has not started yet
        return False
    facts = items if isinstance(items, dict) else dict(zip(items[::2], items[1::2], strict=True))
    return int(facts["num-other-sentinels"]) == SENTINELS - 1 and int(facts["num-slaves"]) == 1


def _sentinel(configuration: Path, port: int, primary: int) -> Any:
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\n"
        f"sentinel monitor billing 127.0.0.1 {primary} 2\n"
        "sentinel down-after-milliseconds billing 1000\n"
        "sentinel failover-timeout billing 5000\n"
    )
    log = configuration.with_suffix(".log")
    return process(SERVER, str(configuration), "--sentinel", log=log)


@pytest.mark.slow
@pytest.mark.nightly
def test_a_failover_under_load_loses_nothing(tmp_path: Path) -> None:
    payments: list[str] = []
    with cluster(tmp_path) as redis, billing(tmp_path, redis.url) as parts:

        def shop() -> None:
            payments.extend(pay_as_a_good_client(parts.url, number) for number in range(PAYMENTS))

        shopping = threading.Thread(target=shop)
        shopping.start()
        wait_until(lambda: len(payments) >= PAYMENTS // 3, "a third is paid")
        redis.primary.kill()
        shopping.join(120)
        with Redis(port=redis.replica_port, decode_responses=True) as promoted:
            assert promoted.info("replication")["role"] == "master"
        assert len(set(payments)) == PAYMENTS

        def notification_ids() -> list[str]:
            items = requests.get(f"{parts.receiver}/notifications", timeout=5).json()["data"]
            return [
                item["body"]["data"]["payment_intent_id"]
                for item in items
                if item["type"] == "payment.succeeded" and not item["duplicate"]
            ]

        wait_until(lambda: len(notification_ids()) >= PAYMENTS, "each payment is told")
        assert sorted(notification_ids()) == sorted(payments)


def _ordered(sentinel: Redis) -> bool:
    try:
        return bool(sentinel.execute_command("SENTINEL", "FAILOVER", "billing"))
    except RedisError:  # it does not know the replica yet
        return False


def refund_as_a_good_client(url: str, payment: str, number: int) -> tuple[str, float]:
    """Repeat a refund under one key until it is accepted; return the job and the seconds of 503."""
    body, refused_at = {"payment_intent_id": payment, "amount": 1}, None
    for _ in range(480):
        try:
            answer = requests.post(
                f"{url}/api/refund/process",
                json=body,
                headers={"Idempotency-Key": f"refund-{number}"},
                timeout=20,
            )
        except requests.ConnectionError:
            time.sleep(0.25)
            continue
        if answer.status_code == 202:
            waited = 0.0 if refused_at is None else time.monotonic() - refused_at
            return str(answer.json()["refund_request_id"]), waited
        assert answer.status_code in (409, 503), answer.text
        refused_at = refused_at or time.monotonic()
        time.sleep(0.25)
    raise AssertionError(f"refund {number} was never accepted")


@pytest.mark.slow
@pytest.mark.nightly
def test_a_failover_leaves_no_caller_in_the_dark_and_misleads_no_receiver(tmp_path: Path) -> None:
    """The primary continues while the replica is promoted: after a partition, or by a command."""
    jobs: list[tuple[str, float]] = []
    with (
        cluster(tmp_path) as redis,
        billing(tmp_path, redis.url, REDIS_REPLICAS_REQUIRED="1") as parts,
    ):
        payments = [pay_as_a_good_client(parts.url, number) for number in range(4)]

        def refund() -> None:
            jobs.extend(
                refund_as_a_good_client(parts.url, payments[number % 4], number)
                for number in range(60)
            )

        refunding = threading.Thread(target=refund)
        refunding.start()
        wait_until(lambda: len(jobs) >= 20, "a third is accepted")
        with Redis(port=redis.sentinel_port) as sentinel:
            wait_until(lambda: _ordered(sentinel), "the fail-over begins")
        refunding.join(200)
        assert len({job for job, _ in jobs}) == 60

        def unknown() -> list[str]:
            answers = {j: requests.get(f"{parts.url}/api/refund/{j}", timeout=20) for j, _ in jobs}
            return [
                job
                for job, answer in answers.items()
                if answer.status_code != 200 or answer.json()["status"] != "succeeded"
            ]

        wait_until(lambda: not unknown(), "each refund that was accepted is known and made")
        wait_until(lambda: len(parts.notifications_of("refund.succeeded")) >= 60, "each is told")
        ids_by_place: dict[tuple[str, int], set[str]] = {}
        numbers: dict[str, set[int]] = {}
        for item in requests.get(f"{parts.receiver}/notifications", timeout=5).json()["data"]:
            body = item["body"]
            where = (str(body["data"]["payment_intent_id"]), int(body["sequence"]))
            ids_by_place.setdefault(where, set()).add(item["id"])
            numbers.setdefault(item["id"], set()).add(int(body["sequence"]))
    assert [where for where, ids in ids_by_place.items() if len(ids) > 1] == []
    assert [one for one, items in numbers.items() if len(items) > 1] == []
    (tmp_path / "seconds-of-503").write_text(f"{max(waited for _, waited in jobs):.1f}")
