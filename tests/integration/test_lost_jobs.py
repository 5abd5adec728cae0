"""A Redis that lost its last writes, or everything: callers find their refunds again."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from shared.refund_metadata import FIELD
from shared.work.kinds import REFUNDS
from shared.work.payments import moment
from tests.integration.hands import Hands
from worker import reconcile

Json = dict[str, Any]
OWN = {"event_id": "e-1", "note": "rained off"}


@pytest.fixture
def payment(hands: Hands) -> str:
    """Take a payment of 10.00 whose notifications were delivered."""
    answer = hands.pay()
    hands.deliver_events()
    hands.work()
    return str(answer.get_json()["payment_intent_id"])


def refund(hands: Hands, payment: str, key: str = "one", **fields: Any) -> Json:
    body = {"payment_intent_id": payment, "amount": 400, "metadata": OWN} | fields
    headers = {"Idempotency-Key": key}
    answer = hands.client.post("/api/refund/process", json=body, headers=headers)
    assert answer.status_code == 202, answer.get_json()
    return dict(answer.get_json())


def at_stripe(hands: Hands, payment: str) -> list[Json]:
    return hands.runtime.gateway.refunds_of(payment_intent=payment)


def test_a_job_that_redis_lost_is_found_again(hands: Hands, payment: str) -> None:
    job = refund(hands, payment, reason="duplicate")["refund_request_id"]
    hands.work()
    hands.deliver_events()
    hands.work()
    before = hands.client.get(f"/api/refund/{job}").get_json()
    hands.runtime.store.redis.flushall()
    assert hands.client.get(f"/api/refund/{job}").status_code == 404
    reconcile.run_once(hands.runtime)
    hands.work()
    after = hands.client.get(f"/api/refund/{job}")
    assert after.status_code == 200
    assert after.get_json() == before
    assert hands.client.get(f"/api/refund/{before['refund_id']}").get_json() == before


def test_a_job_lost_alone_comes_back_with_its_refunds_event_as_old_as_the_refund(
    hands: Hands, payment: str
) -> None:
    """This happens after a fail-over to a replica that does not have the job."""
    job = refund(hands, payment)["refund_request_id"]
    hands.work()
    store = hands.runtime.store
    store.redis.delete(store.keys.item(REFUNDS, job))
    store.redis.zrem(store.keys.index(REFUNDS), job)
    hands.deliver_events("refund.created")
    hands.work()
    answer = hands.client.get(f"/api/refund/{job}").get_json()
    assert (answer["status"], answer["amount"], answer["attempts"]) == ("succeeded", 400, 1)
    (stripes_refund,) = at_stripe(hands, payment)
    listing = hands.client.get("/ops/refunds").get_json()["data"]
    rows = [(row["id"], row["recorded_at"]) for row in listing]
    assert rows == [(job, moment(stripes_refund["created"] * 1000))]


def test_a_request_sent_again_after_the_loss_refunds_once(hands: Hands, payment: str) -> None:
    job = refund(hands, payment)["refund_request_id"]
    hands.work()
    hands.runtime.store.redis.flushall()
    assert refund(hands, payment)["refund_request_id"] == job
    hands.work()
    assert [one["amount"] for one in at_stripe(hands, payment)] == [400]


def test_a_job_that_is_there_is_left_alone(hands: Hands, payment: str) -> None:
    job = refund(hands, payment)["refund_request_id"]
    hands.work()
    hands.deliver_events()
    hands.work()
    fields = hands.runtime.refund_jobs.read(job)
    assert not hands.runtime.refund_jobs.restore(job, at_stripe(hands, payment)[0], None)
    assert hands.runtime.refund_jobs.read(job) == fields


def test_nobody_but_stripe_sees_our_mark(hands: Hands, payment: str) -> None:
    request = refund(hands, payment)
    hands.work()
    hands.deliver_events()
    hands.work()
    (stripes_refund,) = at_stripe(hands, payment)
    assert stripes_refund["metadata"] == OWN | {FIELD: request["refund_request_id"]}
    assert request["metadata"] == OWN
    for ask in (request["refund_request_id"], stripes_refund["id"]):
        assert hands.client.get(f"/api/refund/{ask}").get_json()["metadata"] == OWN
    answer = hands.client.get(f"/api/payment/{payment}").get_json()
    assert FIELD not in str(answer)
    bodies = [item["body"] for item in hands.notifications() if "refund." in item["type"]]
    assert bodies
    for body in bodies:
        assert body["data"]["metadata"] == OWN


def test_a_refusal_is_told_without_our_mark(hands: Hands, payment: str) -> None:
    fault = {"match": {"method": "POST", "path_prefix": "/v1/refunds"}, "kind": "error"}
    fault |= {"status": 400, "code": "charge_disputed"}
    requests.post(f"{hands.sandbox}/_sandbox/faults", json=fault, timeout=5).raise_for_status()
    job = refund(hands, payment)["refund_request_id"]
    hands.work()
    answer = hands.client.get(f"/api/refund/{job}").get_json()
    assert (answer["status"], answer["metadata"]) == ("failed", OWN)
    (bodies,) = [item["body"] for item in hands.notifications() if "refund." in item["type"]]
    assert bodies["data"]["metadata"] == OWN


def test_a_caller_may_use_all_fifty_pairs(hands: Hands, payment: str) -> None:
    pairs = {f"k{number}": "v" for number in range(50)}
    job = refund(hands, payment, metadata=pairs)["refund_request_id"]
    hands.work()
    assert hands.client.get(f"/api/refund/{job}").get_json()["metadata"] == pairs
    assert at_stripe(hands, payment)[0]["metadata"] == pairs


def test_a_caller_cannot_pass_for_another_request(hands: Hands, payment: str) -> None:
    other = "rr_" + "0" * 32
    job = refund(hands, payment, metadata={FIELD: other})["refund_request_id"]
    hands.work()
    hands.deliver_events()
    hands.work()
    assert at_stripe(hands, payment)[0]["metadata"] == {FIELD: job}
    assert hands.client.get(f"/api/refund/{other}").status_code == 404
