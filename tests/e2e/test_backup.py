"""A copy of Redis, restored as the runbook says: nothing is lost, and nothing happens twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from redis import Redis
from redis.exceptions import RedisError

from local.embedded_valkey import valkey_binary
from tests.e2e.running import Json, Service, service
from tests.servers import free_port, process, wait_until

DURABLE = ("--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", "")


@contextmanager
def redis_in(folder: Path, port: int, appendonly: str = "yes") -> Iterator[Redis]:
    """Run Valkey with its data in this folder."""
    folder.mkdir(exist_ok=True)
    options = ("--dir", str(folder), "--port", str(port), "--appendonly", appendonly, *DURABLE)
    log = folder.parent / "valkey.log"
    with process(str(valkey_binary()), *options, log=log), Redis(port=port) as client:

        def answers() -> bool:
            try:
                return bool(client.ping())
            except RedisError:
                return False

        wait_until(answers, "Valkey answers")
        yield client


def persistence(client: Redis, field: str) -> int:
    """Read a field of `INFO persistence`."""
    return int(client.info("persistence")[field])


def copy_directory(client: Redis, folder: Path, copy: Path) -> None:
    """Copy the append-only directory."""
    client.config_set("auto-aof-rewrite-percentage", 0)
    wait_until(lambda: not persistence(client, "aof_rewrite_in_progress"), "no rewrite")
    shutil.copytree(folder / "appendonlydir", copy / "appendonlydir")
    client.config_set("auto-aof-rewrite-percentage", 100)


def copy_rdb(client: Redis, folder: Path, copy: Path) -> None:
    """Save an RDB file and copy it."""
    client.bgsave()
    wait_until(lambda: not persistence(client, "rdb_bgsave_in_progress"), "the RDB file")
    copy.mkdir()
    shutil.copy(folder / "dump.rdb", copy)


def load_directory(_folder: Path, _port: int) -> None:
    """Do nothing: the directory is read as it is."""


def load_rdb(folder: Path, port: int) -> None:
    """Make an append-only directory of an RDB file, which is ignored otherwise."""
    with redis_in(folder, port, appendonly="no") as client:
        client.config_set("appendonly", "yes")
        wait_until(
            lambda: (
                not persistence(client, "aof_rewrite_in_progress")
                and not persistence(client, "aof_rewrite_scheduled")
            ),
            "the append-only file",
        )


def refund(running: Service, payment: str) -> str:
    """Request a refund; return the id of its job."""
    body = {"payment_intent_id": payment, "amount": 300}
    answer = requests.post(f"{running.url()}/api/refund/process", json=body, timeout=10)
    assert answer.status_code == 202
    return str(answer.json()["refund_request_id"])


def pay(running: Service) -> str:
    answer = running.pay("pm_card_visa")
    assert answer.status_code == 200
    return str(answer.json()["payment_intent_id"])


def refunded(running: Service, payment: str) -> list[int]:
    """List the amounts of a payment's refunds at Stripe."""
    answer = requests.get(
        f"{running.url('SANDBOX_PORT')}/v1/refunds",
        params={"payment_intent": payment},
        headers={"Authorization": "Bearer sk_test_offline_sandbox"},
        timeout=5,
    )
    return [one["amount"] for one in answer.json()["data"]]


def job(running: Service, refund_job: str) -> str:
    answer = requests.get(f"{running.url()}/api/refund/{refund_job}", timeout=10)
    return str(answer.json().get("status"))


def audit(running: Service) -> list[Json]:
    """List what operators did, which is nowhere but in Redis."""
    items: list[Json] = requests.get(f"{running.url()}/ops/audit", timeout=5).json()["data"]
    return items


def ids(running: Service, payment: str) -> list[str]:
    """List the ids under which the payment's success was notified, repetitions too."""
    received = running.notifications(payment_intent_id=payment, type="payment.succeeded")
    return [one["id"] for one in received]


def fail(running: Service, *, always: bool) -> None:
    """Let the event service refuse every notification, or accept them again."""
    address = f"{running.url('RECEIVER_PORT')}/_control/faults"
    if always:
        requests.post(address, json={"status": 503}, timeout=5).raise_for_status()
    else:
        requests.delete(address, timeout=5).raise_for_status()


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("copy", "load"), [(copy_directory, load_directory), (copy_rdb, load_rdb)], ids=["aof", "rdb"]
)
def test_a_restored_copy_loses_nothing_and_does_nothing_twice(
    tmp_path: Path,
    copy: Callable[[Redis, Path, Path], None],
    load: Callable[[Path, int], None],
) -> None:
    port, folder, backup = free_port(), tmp_path / "redis", tmp_path / "backup"
    url = {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    with redis_in(folder, port) as client, service(tmp_path, **url) as before:
        waiting = pay(before)
        before.notifications_of(waiting, "payment.succeeded")
        address = f"{before.url()}/ops/notifications/test"
        requests.post(address, json={"by": "kim"}, timeout=5).raise_for_status()
        noted = audit(before)
        assert noted
        fail(before, always=True)
        refund_job = refund(before, waiting)
        copy(client, folder, backup)  # with work under way
        fail(before, always=False)
        after_copy = pay(before)
        before.notifications_of(after_copy, "payment.succeeded")
        wait_until(lambda: job(before, refund_job) == "succeeded", "the refund")
        wait_until(lambda: before.notifications(type="refund.succeeded"), "its notification")
    load(backup, port)
    with redis_in(backup, port), service(tmp_path, **url) as restored:
        assert audit(restored) == noted
        wait_until(
            lambda: len(ids(restored, after_copy)) == 2, "what followed the copy comes again"
        )
        assert len(set(ids(restored, after_copy))) == 1
        wait_until(lambda: job(restored, refund_job) == "succeeded", "the refund of the copy")
        assert refunded(restored, waiting) == [300]
        assert len(set(ids(restored, waiting))) == 1
