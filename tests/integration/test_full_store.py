"""Redis at its memory limit: webhooks are answered 503, and recorded work is still processed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from shared.keys import Keys
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.figures import flush
from shared.store.scripts import Store
from shared.telemetry.tally import WEBHOOKS
from shared.work.kinds import EVENTS, KINDS
from shared.work.liveness import RELAY, Signs, pulse
from tests import servers
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.store_troubles import full
from worker.relay import run_once
from worker.runtime import Runtime


@pytest.fixture
def small(settings: Settings, sandbox: str, receiver: str) -> Iterator[Hands]:
    """Run the service on a Valkey whose memory a test can fill."""
    with servers.valkey() as url:
        own = settings.model_copy(update={"redis_url": url})
        with connect(own, "tests") as client:
            store = Store(client)
            runtime = Runtime(own, store)
            yield Hands(open_door(own, store), runtime, sandbox, receiver)
            runtime.event_service.close()


def fill(store: Store) -> Redis:
    """Fill Redis until it refuses every command that needs memory."""
    full(store.redis)
    return store.redis


def test_a_full_store_refuses_events_and_loses_none(small: Hands) -> None:
    small.pay()
    small.deliver_events("payment_intent.created")
    client = fill(small.runtime.store)
    (event,) = [e for e in small.events() if e["type"] == "payment_intent.succeeded"]
    refusal = small.post_event(event)
    assert (refusal.status_code, refusal.get_json()["code"]) == (503, "store_unavailable")
    assert int(refusal.headers["Retry-After"]) > 0
    assert client.exists(Keys().item(EVENTS, event["id"])) == 0
    assert client.zscore(Keys().due(EVENTS), event["id"]) is None
    client.config_set("maxmemory", 0)
    assert small.post_event(event).get_json()["result"] == "recorded"
    small.work()
    assert small.notified_types() == ["payment.succeeded"]


def test_the_backlog_drains_while_the_store_is_full(small: Hands) -> None:
    payments = [small.pay().get_json()["payment_intent_id"] for _ in range(5)]
    answers = [
        small.client.post("/api/refund/process", json={"payment_intent_id": payment, "amount": 100})
        for payment in payments
    ]
    assert {answer.status_code for answer in answers} == {202}
    small.deliver_events()
    fill(small.runtime.store)
    small.work()
    for kind in KINDS.values():
        if kind.name != "upkeep":
            assert small.runtime.store.redis.zcard(small.runtime.store.keys.due(kind)) == 0, (
                kind.name
            )
    assert sorted(small.notified_types()) == ["payment.succeeded"] * 5
    small.runtime.store.redis.config_set("maxmemory", 0)
    small.deliver_events()
    small.work()
    assert sorted(set(small.notified_types())) == ["payment.succeeded", "refund.succeeded"]


def test_a_payment_is_refused_before_money_moves(small: Hands) -> None:
    fill(small.runtime.store)
    assert small.pay().status_code == 503
    assert small.events() == []


def test_a_full_store_is_told_by_the_metrics_and_nobody_looks_dead(small: Hands) -> None:
    fill(small.runtime.store)
    small.runtime.store.tally.count(WEBHOOKS, result="store_unavailable")
    run_once(small.runtime.store)
    Signs(small.runtime.store).give(RELAY)
    pulse(small.runtime.store)
    flush(small.runtime.store)
    answer = small.client.get("/metrics")
    assert answer.status_code == 200
    assert 'billing_store_memory_bytes{which="limit"}' in answer.text
    assert 'billing_webhooks_total{result="store_unavailable"} 1.0' in answer.text
    assert "billing_upkeep_silent_seconds 0." in answer.text
