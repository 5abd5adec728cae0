"""Rates: all processes add to them in Redis, in buckets of Redis's time, for one day."""

from __future__ import annotations

from shared.store import rates
from shared.store.figures import flush
from shared.store.rates import BUCKET_SECONDS, BUCKETS
from shared.store.scripts import Store
from shared.telemetry.tally import ATTEMPTS, NOTIFICATION_DELAY, WEBHOOKS
from tests.integration.hands import Hands

DAY_SECONDS = 86_400


def count_of(store: Store, rate: str) -> int:
    """Sum a rate over the last hour."""
    return sum(rates.read(store, 12)[1][rate])


def test_what_two_processes_count_is_added_in_the_present_bucket(real_store: Store) -> None:
    other = Store(real_store.redis)
    for store, times in ((real_store, 3), (other, 4)):
        store.tally.count(WEBHOOKS, times, result="recorded")
        store.tally.observe(NOTIFICATION_DELAY, 4.2)
        flush(store)
    first, counts, delays = rates.read(real_store, 12)
    assert counts["events"][-2:] in ([0, 7], [7, 0])  # a bucket may have ended just now
    assert sum(map(sum, delays)) == 2
    now = real_store.now_ms() / 1000
    assert 0 <= now - (first + 11 * BUCKET_SECONDS) < BUCKET_SECONDS + 1


def test_a_day_is_kept_and_what_is_older_or_of_the_future_goes(real_store: Store) -> None:
    name = real_store.keys.rates("events")
    bucket = real_store.now_ms() // (BUCKET_SECONDS * 1000)
    last_day = {str(bucket - age): 1 for age in range(1, BUCKETS)}
    old = {str(bucket - BUCKETS - 2): 1, "17": 1, str(bucket + 40): 1}
    real_store.redis.hset(name, mapping=last_day | old)
    real_store.tally.count(WEBHOOKS, result="recorded")
    flush(real_store)
    fields = set(real_store.redis.hkeys(name))
    assert len(fields) in (BUCKETS, BUCKETS - 1)
    assert not fields & set(old)
    assert 0 < real_store.redis.ttl(name) <= DAY_SECONDS + BUCKET_SECONDS


def test_the_delays_of_a_day_are_bounded_too(real_store: Store) -> None:
    name = real_store.keys.rates("delays")
    bucket = real_store.now_ms() // (BUCKET_SECONDS * 1000)
    real_store.redis.hset(name, mapping={f"{bucket - BUCKETS - 9}:{part}": 1 for part in range(13)})
    real_store.tally.observe(NOTIFICATION_DELAY, 1.5)
    flush(real_store)
    assert real_store.redis.hlen(name) == 1


def test_what_is_counted_elsewhere_makes_no_bucket(real_store: Store) -> None:
    real_store.tally.count(ATTEMPTS, kind="events", outcome="processed")
    flush(real_store)
    assert not list(real_store.redis.scan_iter("*:rates:*"))


def test_a_payment_and_its_refund_are_seen_in_the_rates(hands: Hands) -> None:
    store = hands.runtime.store
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.pay("pm_card_chargeDeclined")
    hands.deliver_events()
    hands.work()
    hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    hands.work()
    flush(store)
    rates = {
        rate: count_of(store, rate) for rate in ("payments", "declines", "refunds", "failures")
    }
    assert rates == {"payments": 1, "declines": 1, "refunds": 1, "failures": 0}
    assert count_of(store, "notifications") >= 2
    assert count_of(store, "events") >= 4
