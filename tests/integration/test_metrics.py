"""Metrics: one page for all processes, correct figures, few labels, and no delay for callers."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from api.measurements import SURVEY, survey
from shared.errors import Unavailable
from shared.keys import Keys
from shared.settings import Settings
from shared.store.figures import Flusher, flush, read
from shared.store.scripts import Store
from shared.telemetry.tally import (
    ATTEMPTS,
    HTTP_REQUESTS,
    MOST_SERIES,
    STRIPE_CALLS,
    WEBHOOK_SECONDS,
    WEBHOOKS,
    Tally,
)
from shared.work.items import Recording, Work
from shared.work.kinds import EVENTS
from tests.conftest import make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury
from tests.servers import wait_until
from worker import reconcile
from worker.relay import run_once

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(client: FlaskClient, **headers: str) -> Samples:
    """Scrape as Prometheus does."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(scrape: Samples, name: str, **labels: str) -> float | None:
    """Return one sample's value; None when there is no such sample."""
    return scrape.get((name, tuple(sorted(labels.items()))))


def counts(store: Store, name: str) -> dict[tuple[str, ...], float]:
    """Return the stored figures of a counter."""
    return next(figures.counts for figures in read(store) if figures.metric.name == name)


def test_what_two_processes_count_is_added(store: Store) -> None:
    other = Store(store.redis)
    for process in (store, other):
        process.tally.count(WEBHOOKS, result="recorded")
        process.tally.observe(WEBHOOK_SECONDS, 0.02)
        flush(process)
        flush(process)
    assert counts(store, "billing_webhooks") == {("recorded",): 2.0}
    (seconds,) = [f for f in read(store) if f.metric is WEBHOOK_SECONDS]
    assert seconds.sums == {(): pytest.approx(0.04)}
    assert sum(seconds.buckets[()]) == 2


def test_what_the_store_does_not_take_is_kept_for_the_next_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("away")

    store.tally.count(WEBHOOKS, result="recorded")
    with monkeypatch.context() as patch:
        patch.setattr(store, "run", away)
        flush(store)
    store.tally.count(WEBHOOKS, result="recorded")
    flush(store)
    assert counts(store, "billing_webhooks") == {("recorded",): 2.0}


def test_counting_from_many_threads_loses_nothing() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(1000):
            tally.count(WEBHOOKS, result="recorded")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(tally.take().values()) == 8000


def test_a_metric_never_has_more_series_than_its_bound() -> None:
    tally = Tally()
    for number in range(3 * MOST_SERIES):
        tally.count(HTTP_REQUESTS, route=f"/{number}", method="GET", status="200")
    series = tally.take()
    assert len(series) == MOST_SERIES + 1
    assert series[HTTP_REQUESTS.name, ("other", "other", "other"), ""] == 2 * MOST_SERIES


def test_stripes_many_codes_are_one_result() -> None:
    tally = Tally()
    for code in ("ok", "insufficient_funds", "resource_missing", "stripe_unreachable"):
        tally.stripe_call("payment_intents.create", code, 0.1)
    results = {values[1] for name, values, _ in tally.take() if name == STRIPE_CALLS.name}
    assert results == {"ok", "refused", "stripe_unreachable"}


def test_the_flusher_flushes_by_itself_and_once_more_at_the_end(real_store: Store) -> None:
    flusher = Flusher(real_store, pause_seconds=0.01).start()
    real_store.tally.count(WEBHOOKS, result="recorded")
    wait_until(lambda: counts(real_store, "billing_webhooks"), "the first flush")
    real_store.tally.count(WEBHOOKS, result="recorded")
    flusher.stop()
    assert counts(real_store, "billing_webhooks") == {("recorded",): 2.0}


def test_figures_of_another_release_are_passed_over(store: Store) -> None:
    store.redis.hset(store.keys.figures(), '["billing_gone",["x"],""]', 1)
    store.redis.hset(store.keys.figures(), '["billing_webhooks",["recorded","more"],""]', 1)
    store.redis.hset(store.keys.figures(), '["billing_webhook_seconds",[],"99"]', 1)
    assert all(not any(f.counts.values()) and not f.buckets for f in read(store))
    assert all(set(f.counts) == set(f.metric.always) for f in read(store))


def test_a_payment_shows_from_the_webhook_to_the_delivery(hands: Hands) -> None:
    hands.pay()
    events = hands.deliver_events()
    hands.post_event(events[0])
    hands.post_event(events[0], secret="whsec_wrong_0123456789")
    hands.work()
    flush(hands.runtime.store)
    scrape = samples(hands.client)
    assert value(scrape, "billing_webhooks_total", result="recorded") == len(events)
    assert value(scrape, "billing_webhooks_total", result="duplicate") == 1
    assert value(scrape, "billing_webhooks_total", result="invalid_signature") == 1
    assert value(scrape, "billing_webhook_seconds_count") == len(events) + 2
    assert value(scrape, "billing_webhook_seconds_bucket", le="+Inf") == len(events) + 2
    event = {"type": "payment_intent.succeeded", "outcome": "processed"}
    assert value(scrape, "billing_event_attempts_total", **event) == 1
    labels = {"type": "payment.succeeded", "outcome": "delivered"}
    assert value(scrape, "billing_deliveries_total", **labels) == 1
    assert value(scrape, "billing_notification_delay_seconds_count") == 1
    call = {"operation": "payment_intents.create", "result": "ok"}
    assert value(scrape, "billing_stripe_calls_total", **call) == 1
    assert value(scrape, "billing_facts_total", outcome="told") == 1


def test_types_nobody_handles_are_one_label(hands: Hands) -> None:
    event = {"id": "evt_strange", "object": "event", "type": "zz.made_up", "created": 1}
    hands.post_event(event | {"livemode": False, "data": {"object": {"id": "zz_1"}}})
    hands.work()
    assert hands.runtime.store.tally.take()[
        "billing_event_attempts", ("other", "ignored"), ""
    ] == pytest.approx(1)


def test_unknown_routes_are_one_label(client: FlaskClient, real_store: Store) -> None:
    for number in range(5):
        client.get(f"/no/such/{number}")
    flush(real_store)
    label = {"route": "other", "method": "GET", "status": "404"}
    assert value(samples(client), "billing_http_requests_total", **label) == 5


def test_dead_letters_queues_and_the_oldest_are_told(
    client: FlaskClient, real_store: Store
) -> None:
    bury(real_store, "evt_1")
    work = Work(real_store, EVENTS)
    work.record(Recording("evt_2", "received", {"type": "t"}, 10))
    real_store.redis.hset(
        real_store.keys.item(EVENTS, "evt_2"), "recorded_at", real_store.now_ms() - 90_000
    )
    real_store.redis.zadd(real_store.keys.due(EVENTS), {"evt_2": real_store.now_ms() - 60_000})
    scrape = samples(client)
    assert value(scrape, "billing_dead_letters", queue="events") == 1
    assert value(scrape, "billing_queue_depth", queue="events") == 2
    assert value(scrape, "billing_work_due", queue="events") == 1
    assert value(scrape, "billing_work_items", kind="events", state="received") == 1
    assert value(scrape, "billing_oldest_open_seconds", kind="events") == pytest.approx(90, abs=5)
    assert value(scrape, "billing_work_overdue_seconds", queue="events") == pytest.approx(60, abs=5)


def test_nobody_at_work_is_infinitely_silent(client: FlaskClient) -> None:
    scrape = samples(client)
    assert value(scrape, "billing_queue_silent_seconds", queue="events") == float("inf")
    assert value(scrape, "billing_upkeep_silent_seconds") == float("inf")


def test_a_survey_of_a_large_backlog_is_bounded_and_says_so(store: Store) -> None:
    pipe = store.redis.pipeline()
    events = [f"evt_{number}" for number in range(SURVEY + 500)]
    for event in events:
        fields = {"state": "received", "recorded_at": "1000"}
        pipe.hset(Keys().item(EVENTS, event), mapping=fields)
    pipe.zadd(Keys().due(EVENTS), {event: number for number, event in enumerate(events)})
    pipe.execute()
    scrape = survey(store, EVENTS)
    assert scrape.states == {"received": SURVEY, "uncounted": 500}
    assert scrape.oldest_seconds > 1e9


def test_the_gap_of_the_last_comparison_is_a_number(hands: Hands) -> None:
    reconcile.run_once(hands.runtime)
    hands.pay()
    ahead = int(time.time()) + 300
    comparison = reconcile.run_once(hands.runtime, ahead)
    scrape = samples(hands.client)
    assert comparison.gap > 0
    assert value(scrape, "billing_reconcile_gap") == comparison.gap
    assert value(scrape, "billing_reconcile_events_total", outcome="gap") == comparison.gap
    assert value(scrape, "billing_reconcile_age_seconds") < 60


def test_the_relay_counts_what_it_rings_for(store: Store) -> None:
    Work(store, EVENTS).record(Recording("evt_1", "received", {"type": "t"}, 10))
    store.redis.zadd(store.keys.due(EVENTS), {"evt_1": 1})
    run_once(store)
    flush(store)
    assert counts(store, "billing_relay_rings")["events",] == 1


def test_with_operator_keys_metrics_need_one(real_store: Store, settings: Settings) -> None:
    keys = {"api_keys": "api-key-0123", "operator_keys": "operator-key-0123"}
    client = open_door(make_settings(**keys), real_store)
    assert client.get("/metrics").status_code == 401
    assert (
        client.get("/metrics", headers={"Authorization": "Bearer api-key-0123"}).status_code == 401
    )
    assert samples(client, Authorization="Bearer operator-key-0123")


def test_a_store_that_is_away_makes_the_scrape_fail_and_nothing_else(sandbox: str) -> None:
    client = open_door(make_settings(redis_url="redis://127.0.0.1:9/0"))
    assert client.get("/metrics").status_code == 503
    assert client.get("/health").status_code == 200


def test_attempts_that_fail_are_counted_by_what_follows(hands: Hands) -> None:
    hands.runtime.settings.__dict__["event_max_attempts"] = 1
    hands.pay()
    (event,) = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    hands.post_event(event)
    hands.runtime.store.redis.set(hands.runtime.store.keys.body(EVENTS, event["id"]), "not JSON")
    hands.work()
    assert hands.runtime.store.tally.take()[ATTEMPTS.name, ("events", "dead"), ""] == 1
