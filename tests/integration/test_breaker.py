"""The breaker: during an outage the event service gets probes only, and afterwards everything."""

from __future__ import annotations

import pytest
import requests

from shared.keys import State
from shared.store.scripts import Store
from shared.work.breaker import THRESHOLD, Breaker
from shared.work.items import Claim
from shared.work.kinds import NOTIFICATIONS
from shared.work.outbox import Outbox
from shared.work.queues import queues
from shared.work.results import Dead, Done
from tests.conftest import make_settings
from tests.integration.hands import Hands
from worker import relay

PAUSE_MS = 4_000


@pytest.fixture
def outbox(store: Store) -> Outbox:
    """Return an outbox on either store."""
    return Outbox(store, make_settings())


def stage(store: Store, *ids: str, payment: str) -> None:
    """Put notifications into a payment's outbox as settling does: only the first is scheduled."""
    for number, notification in enumerate(ids):
        fields = {"id": notification, "payment_id": payment, "recorded_at": "1", "attempts": "0"}
        state = "waiting" if number else "queued"
        store.redis.hset(
            store.keys.item(NOTIFICATIONS, notification), mapping=fields | {"state": state}
        )
        store.redis.rpush(store.keys.outbox(payment), notification)
    store.redis.zadd(store.keys.due(NOTIFICATIONS), {ids[0]: 1})


def open_breaker(store: Store) -> None:
    """Let as many payments fail in a row as open the breaker."""
    for number in range(THRESHOLD):
        assert not is_open(store)
        Breaker(store).failed(f"pi_{number}")
    assert is_open(store)


def is_open(store: Store) -> bool:
    """Say whether deliveries pause."""
    return bool(store.redis.exists(store.keys.breaker()))


def claim(outbox: Outbox, notification: str) -> Claim | None:
    """Claim as a notifier does."""
    return outbox.claim(notification, pause_ms=PAUSE_MS)


def test_one_payment_that_keeps_failing_never_opens_it(store: Store) -> None:
    for _ in range(THRESHOLD * 3):
        Breaker(store).failed("pi_1")
    assert not is_open(store)


def test_an_answer_between_the_failures_starts_the_count_anew(store: Store) -> None:
    for number in range(THRESHOLD - 1):
        Breaker(store).failed(f"pi_{number}")
    Breaker(store).answered()
    Breaker(store).failed("pi_99")
    assert not is_open(store)


def test_while_it_is_open_one_probe_goes_and_the_others_are_put_off(outbox: Outbox) -> None:
    store = outbox.store
    for number in range(3):
        stage(store, f"ntf_{number}", payment=f"pi_{number}")
    open_breaker(store)
    assert claim(outbox, "ntf_0")
    assert claim(outbox, "ntf_1") is None
    item = store.hash(store.keys.item(NOTIFICATIONS, "ntf_1"))
    assert (item["state"], item["attempts"]) == ("queued", "0")
    left = int(store.redis.zscore(store.keys.due(NOTIFICATIONS), "ntf_1")) - store.now_ms()
    assert PAUSE_MS - 1_000 < left <= PAUSE_MS
    store.redis.delete(store.keys.probe())
    assert claim(outbox, "ntf_1") is None, "it was put off: the next probe is another's"
    assert claim(outbox, "ntf_2")


def test_work_that_needs_no_event_service_goes_on(outbox: Outbox) -> None:
    stage(outbox.store, "ntf_1", payment="pi_1")
    open_breaker(outbox.store)
    outbox.store.redis.set(outbox.store.keys.probe(), "1")
    assert outbox.claim("ntf_1")


def test_a_delivery_closes_it_and_rings_for_the_next_of_its_payment(outbox: Outbox) -> None:
    store = outbox.store
    stage(store, "ntf_1", "ntf_2", payment="pi_1")
    open_breaker(store)
    probe = claim(outbox, "ntf_1")
    assert probe is not None
    assert outbox.finish(probe, Done(State.DELIVERED)) is True
    assert store.redis.exists(store.keys.breaker()) == 0
    assert store.redis.llen(store.keys.queue(NOTIFICATIONS)) == 1
    assert claim(outbox, "ntf_2")


def test_a_notification_given_up_leaves_it_as_it_is(outbox: Outbox) -> None:
    store = outbox.store
    stage(store, "ntf_1", "ntf_2", payment="pi_1")
    open_breaker(store)
    probe = claim(outbox, "ntf_1")
    assert probe is not None
    assert outbox.bury(probe, Dead("72 hours")) is True
    assert store.redis.exists(store.keys.breaker()) == 1
    assert store.redis.llen(store.keys.queue(NOTIFICATIONS)) == 0, "nobody rings while it is open"


def test_the_relay_rings_for_probes_only(outbox: Outbox) -> None:
    store = outbox.store
    for number in range(10):
        stage(store, f"ntf_{number}", payment=f"pi_{number}")
    open_breaker(store)
    assert relay.run_once(store)["notifications"] == relay.PROBES
    Breaker(store).answered()
    assert relay.run_once(store)["notifications"] == 10 - relay.PROBES


def fail_with(hands: Hands, status: int) -> None:
    """Make the event service answer every request with this status."""
    requests.delete(f"{hands.receiver}/_control/faults", timeout=5).raise_for_status()
    if status != 200:
        fault = {"status": status, "count": 10_000}
        requests.post(f"{hands.receiver}/_control/faults", json=fault, timeout=5).raise_for_status()


def pay_many(hands: Hands, count: int) -> None:
    """Take payments, deliver their events and answer each doorbell once."""
    for _ in range(count):
        assert hands.pay().status_code == 200
    hands.deliver_events("payment_intent.succeeded")
    while hands.ring():
        pass


def test_an_ill_event_service_is_spared_and_gets_everything_when_it_is_well(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.delivery.PAUSE_SECONDS", (1.0, 1.5))
    store = hands.runtime.store
    fail_with(hands, 503)
    pay_many(hands, THRESHOLD + 3)
    assert store.redis.exists(store.keys.breaker()) == 1
    assert len(hands.notifications()) <= THRESHOLD + 1, "at most one probe beside what opened it"
    fail_with(hands, 200)
    store.redis.delete(store.keys.probe())
    hands.work()
    assert store.redis.exists(store.keys.breaker()) == 0
    deliveries = [item["id"] for item in hands.notifications() if item["answered"] == 200]
    assert len(deliveries) == len(set(deliveries)) == THRESHOLD + 3


def test_notifications_it_does_not_like_never_open_it(hands: Hands) -> None:
    fail_with(hands, 400)
    pay_many(hands, THRESHOLD + 3)
    assert hands.runtime.store.redis.exists(hands.runtime.store.keys.breaker()) == 0


def test_of_a_payments_notifications_only_the_first_counts_as_open(store: Store) -> None:
    """The console, `./billing queues` and the metric `billing_work_open` say so."""
    stage(store, "ntf_1", "ntf_2", "ntf_3", payment="pi_1")
    stage(store, "ntf_4", payment="pi_2")
    counts = {row["name"]: row["open"] for row in queues(store)["data"]}
    assert counts["notifications"] == 2
