"""The whole service on a server in cluster mode, and on one that an earlier release left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
from redis import Redis

from tests.e2e.running import service
from tests.integration.test_identity import old_store
from tests.servers import valkey, wait_until


@pytest.mark.parametrize("cluster", [True, False], ids=["cluster", "one server"])
def test_the_service_lives_on_a_store_of_an_earlier_release(tmp_path: Path, cluster: bool) -> None:
    with valkey(cluster=cluster) as url, Redis.from_url(url, decode_responses=True) as redis:
        old_store(redis)
        with service(tmp_path, REDIS_URL=url) as running:
            paid = running.pay("pm_card_visa").json()["payment_intent_id"]
            running.told(paid, "payment.succeeded")
            body = {"payment_intent_id": paid, "amount": 300}
            refunded = requests.post(
                f"{running.url()}/api/refund/process",
                json=body,
                headers={"Prefer": "wait=20"},
                timeout=30,
            )
            assert refunded.json()["status"] == "succeeded"
            running.told(paid, "payment.succeeded", "refund.succeeded")
            page = f"{running.url('FLOWER_PORT')}/workers"
            wait_until(lambda: _roles(page) == {"worker", "notifications"}, "Flower sees both")
        assert list(redis.scan_iter("billing:*")) == []
        strangers = {name for name in redis.scan_iter("*") if not name.startswith("{billing}:")}
        assert strangers == {"somebody:else"}, "Celery's own keys have the prefix, too"


def _roles(page: str) -> set[str]:
    return set(re.findall(r"(worker|notifications)-\d+@", requests.get(page, timeout=15).text))
