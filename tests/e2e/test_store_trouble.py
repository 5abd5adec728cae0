"""The real processes refund an event while Redis loads its data, cannot save them or is full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from tests import servers
from tests.e2e.parts import Parts, billing
from tests.servers import wait_until
from tests.store_troubles import OPTIONS, Trouble, full, loading, troubled, unsaved

Json = dict[str, Any]
STRIPE = {"Authorization": "Bearer sk_test_tests_0123456789"}
COUNT = 24
# Slow enough that the batch outlasts all troubles.
SLOW = {"STRIPE_ENDPOINT_RATE_LIMIT": "4"}


def pay(parts: Parts, number: int) -> str:
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    metadata = {"event_id": "evening"}
    answer = requests.post(
        f"{parts.url}/api/payment/process",
        json=body | {"metadata": metadata},
        headers={"Idempotency-Key": f"order-{number}"},
        timeout=20,
    )
    return str(answer.json()["payment_intent_id"])


def start(parts: Parts, key: str) -> requests.Response:
    """Start a batch of one payment after the other, so that each key starts another one."""
    return requests.post(
        f"{parts.url}/api/refund/batches",
        json={"event_id": "evening"},
        headers={"Idempotency-Key": key},
        timeout=20,
    )


def refunded(parts: Parts, batch: str) -> int:
    answer = requests.get(f"{parts.url}/api/refund/batches/{batch}", timeout=20)
    return int(answer.json()["counts"]["refunded"]) if answer.ok else -1


def refunds(parts: Parts, payment: str) -> list[int]:
    query = {"payment_intent": payment}
    answer = requests.get(f"{parts.stripe}/v1/refunds", params=query, headers=STRIPE, timeout=10)
    return [refund["amount"] for refund in answer.json()["data"]]


def endure(parts: Parts, redis: Redis, trouble: Trouble, batch: str) -> None:
    """Trouble Redis until a caller and a worker have noticed; then the batch goes on."""
    before = refunded(parts, batch)
    with troubled(redis, trouble):
        headers = wait_until(lambda: _refusal(parts), f"a refusal because of {trouble.__name__}")
        assert int(headers["Retry-After"]) > 0
        assert headers["Content-Type"] == "application/problem+json"
        if trouble is unsaved:
            log = parts.folder / "worker.log"
            wait_until(lambda: "queue_refused" in log.read_text(), "the worker is refused")
        if trouble is loading:  # as when everything starts after a power cut
            parts.start("late-worker", "worker")
            parts.start("late-upkeep", "worker.upkeep")
            log = parts.folder / "late-upkeep.log"
            wait_until(lambda: "LOADING" in log.read_text(), "upkeep waits for Redis")
    wait_until(lambda: refunded(parts, batch) > before, "the batch goes on")


def _refusal(parts: Parts) -> Mapping[str, str] | None:
    """Return the headers of the answer to a start that Redis refuses; None for another answer."""
    answer = start(parts, "another")
    return answer.headers if answer.status_code == 503 else None


@pytest.mark.long
def test_a_batch_goes_on_after_redis_refused_commands(tmp_path: Path) -> None:
    with (
        servers.valkey(*OPTIONS, cluster=False) as url,
        Redis.from_url(url, decode_responses=True) as redis,
        billing(tmp_path, url, **SLOW) as parts,
    ):
        payments = [pay(parts, number) for number in range(COUNT)]
        wait_until(lambda: len(parts.notifications_of("payment.succeeded")) == COUNT, "all paid")
        batch = start(parts, "the batch").json()["batch_id"]
        wait_until(lambda: refunded(parts, batch) > 0, "the first refund")
        for trouble in (unsaved, loading, full):
            endure(parts, redis, trouble, batch)
        wait_until(lambda: refunded(parts, batch) == COUNT, "all refunds")
        assert [refunds(parts, one) for one in payments] == [[1000]] * COUNT
        assert {name: one.poll() for name, one in parts.processes.items()} == dict.fromkeys(
            parts.processes
        )
