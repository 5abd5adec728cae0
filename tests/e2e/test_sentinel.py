"""A fail-over by Sentinel under load: the primary is killed, nothing accepted is lost."""

from __future__ import annotations

import threading
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
    """A primary, a replica and three Sentinels, all on loopback."""

    primary: Any
    replica_port: int
    url: str
    log: list[str] = field(default_factory=list)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a replicated Valkey watched by Sentinels that decide within a second."""
    first, second = free_ports(2)
    kept = ["--appendonly", "yes", "--appendfsync", "always", "--bind", "127.0.0.1", "--save", ""]
    with ExitStack() as stack:
        for name in ("one", "two"):
            (folder / name).mkdir()
        primary = stack.enter_context(
            process(SERVER, "--port", str(first), "--dir", str(folder / "one"), *kept)
        )
        replica = ["--port", str(second), "--dir", str(folder / "two"), *kept]
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
        yield Cluster(primary, second, f"sentinel://{hosts}/0?service=billing")


def _synchronised(client: Redis) -> bool:
    try:
        return client.info("replication").get("master_link_status") == "up"
    except RedisError:  # it has not started yet
        return False


def _sees_all(sentinel: Redis) -> bool:
    try:
        found = sentinel.execute_command("SENTINEL", "MASTERS")[0]
    except RedisError:  # it has not started yet
        return False
    facts = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
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
@pytest.mark.timeout(180)
@pytest.mark.long
def test_a_failover_under_load_loses_nothing(tmp_path: Path) -> None:
    paid: list[str] = []
    with cluster(tmp_path) as redis, billing(tmp_path, redis.url) as parts:

        def shop() -> None:
            paid.extend(pay_as_a_good_client(parts.url, number) for number in range(PAYMENTS))

        shopping = threading.Thread(target=shop)
        shopping.start()
        wait_until(lambda: len(paid) >= PAYMENTS // 3, "a third is paid")
        redis.primary.kill()
        shopping.join(120)
        with Redis(port=redis.replica_port, decode_responses=True) as promoted:
            assert promoted.info("replication")["role"] == "master"
        assert len(set(paid)) == PAYMENTS

        def told() -> list[str]:
            found = requests.get(f"{parts.receiver}/notifications", timeout=5).json()["data"]
            return [
                item["body"]["data"]["payment_intent_id"]
                for item in found
                if item["type"] == "payment.succeeded" and not item["duplicate"]
            ]

        wait_until(lambda: len(told()) >= PAYMENTS, "each payment is told")
        assert sorted(told()) == sorted(paid)
