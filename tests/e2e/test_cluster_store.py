"""The whole service on a server in cluster mode, and on one with data of an earlier release."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
from redis import Redis

from tests.e2e.running import service
from tests.integration.test_identity import old_store
from tests.servers import valkey, wait_until


@pytest.mark.long
@pytest.mark.parametrize("cluster", [True, False], ids=["cluster", "one server"])
def test_the_service_lives_on_a_store_of_an_earlier_release(tmp_path: Path, cluster: bool) -> None:
    with valkey(cluster=cluster) as url, Redis.from_url(url, decode_responses=True) as redis:
        old_store(redis)
        with service(tmp_path, REDIS_URL=url) as running:
            metadata = {"event_id": "concert-7"}
            paid_payment = running.pay("pm_card_visa", metadata=metadata).json()[
                "payment_intent_id"
            ]
            running.notifications_of(paid_payment, "payment.succeeded")
            of_event = f"{running.url()}/api/payments?event_id=concert-7&status=succeeded"
            page = requests.get(of_event, timeout=10).json()
            assert [payment["id"] for payment in page["data"]] == [paid_payment]
            body = {"payment_intent_id": paid_payment, "amount": 300}
            refunded = requests.post(
                f"{running.url()}/api/refund/process",
                json=body,
                headers={"Prefer": "wait=20"},
                timeout=30,
            )
            assert refunded.json()["status"] == "succeeded"
            running.notifications_of(paid_payment, "payment.succeeded", "refund.succeeded")
            workers = f"{running.url('FLOWER_PORT')}/workers"
            wait_until(lambda: _roles(workers) == {"worker", "notifications"}, "Flower sees both")
        assert list(redis.scan_iter("billing:*")) == []
        strangers = {name for name in redis.scan_iter("*") if not name.startswith("{billing}:")}
        assert strangers == {"somebody:else"}, "Celery's own keys have the prefix, too"


def _roles(page: str) -> set[str]:
    return set(re.findall(r"(worker|notifications)-\d+@", requests.get(page, timeout=15).text))
