"""The atomic scripts, on fakeredis and a real server: what may be claimed, by whom, how often."""

from __future__ import annotations

import json

import pytest

from shared.keys import key
from shared.store.scripts import Store
from shared.work.breaker import BREAKER, PROBE
from shared.work.items import EVENTS, NOTIFICATIONS, Claim, Recording, Work, relay
from shared.work.outbox import Outbox
from tests.conftest import make_settings

SETTINGS = make_settings()


@pytest.fixture
def work(store: Store) -> Work:
    """Give the inbox's work on either store."""
    return Work(store, EVENTS)


def record(work: Work, event_id: str = "evt_1", max_waiting: int = 10) -> str:
    """Record an event of no consequence."""
    fields = {"type": "payment_intent.created"}
    return work.record(Recording(event_id, "received", fields, max_waiting, body="{}")).outcome


def claim(work: Work, event_id: str = "evt_1") -> Claim:
    """Claim an item that must be there to be claimed."""
    found = work.claim(event_id)
    assert found is not None
    return found


def expire_lease(work: Work, event_id: str = "evt_1") -> None:
    """Let the lease of a claimed item lapse, as time would."""
    work.store.redis.hset(EVENTS.key(event_id), "lease_until", 1)
    work.store.redis.zadd(EVENTS.due, {event_id: 1})


def test_recording_twice_changes_nothing_and_rings_once(work: Work) -> None:
    assert [record(work), record(work)] == ["recorded", "known"]
    assert work.store.redis.llen(EVENTS.queue) == 1
    assert work.waiting() == 1


def test_above_the_high_water_mark_nothing_is_written(work: Work) -> None:
    record(work, "evt_1", max_waiting=1)
    assert record(work, "evt_2", max_waiting=1) == "full"
    assert work.store.hash(EVENTS.key("evt_2")) == {}
    assert record(work, "evt_1", max_waiting=1) == "known"


def test_the_bell_carries_the_id_and_nothing_else(work: Work) -> None:
    record(work)
    message = json.loads(work.store.redis.lindex(EVENTS.queue, 0))
    assert json.loads(message["body"])[0] == ["evt_1"]
    assert message["headers"]["task"] == EVENTS.task
    assert message["properties"]["delivery_info"]["routing_key"] == "events"


def test_one_worker_at_a_time_holds_an_item(work: Work) -> None:
    record(work)
    first = claim(work)
    assert (first.attempts, first.body) == (1, "{}")
    assert work.claim("evt_1") is None


def test_asking_again_with_the_same_token_gives_the_same_claim(work: Work) -> None:
    record(work)
    keys = [EVENTS.key("evt_1"), EVENTS.due, EVENTS.key("evt_1", "body"), BREAKER, PROBE]
    answers = [work.store.run("claim", keys, ["evt_1", 1000, "one", 0, 0]) for _ in range(2)]
    fields = [dict(zip(a[1][::2], a[1][1::2], strict=True)) for a in answers]
    assert [(f["fence"], f["attempts"]) for f in fields] == [("1", "1"), ("1", "1")]


def test_a_lapsed_lease_is_another_workers_and_the_first_can_mark_nothing(work: Work) -> None:
    record(work)
    first = claim(work)
    expire_lease(work)
    second = claim(work)
    assert (second.attempts, second.crashes) == (2, 1)
    assert work.postpone(first, 1, error="late") == 0
    assert work.bury(first, "late") is False
    assert work.postpone(second, 1, error="its own") > 0


def test_a_retry_waits_until_it_is_due(work: Work) -> None:
    record(work)
    work.postpone(claim(work), 60, error="ill")
    assert work.claim("evt_1") is None
    work.store.redis.hset(EVENTS.key("evt_1"), "not_before", 1)
    assert claim(work).attempts == 2


def test_only_what_waits_for_a_retry_is_woken(work: Work) -> None:
    record(work)
    assert work.wake("evt_1") is False
    held = claim(work)
    assert work.wake("evt_1") is False
    work.postpone(held, 3600, error="ill")
    work.store.redis.delete(EVENTS.queue)
    assert work.wake("evt_1") is True
    assert work.store.redis.llen(EVENTS.queue) == 1
    work.bury(claim(work), "too much")
    assert work.wake("evt_1") is False
    assert work.wake("evt_2") is False
    assert work.waiting() == 0


def test_a_snooze_gives_the_attempt_back(work: Work) -> None:
    record(work)
    work.postpone(claim(work), 0, error="not yet", give_back=True)
    assert claim(work).attempts == 1


def test_a_dead_letter_keeps_its_payload_and_its_evidence(work: Work) -> None:
    record(work)
    work.bury(claim(work), "it was too much")
    assert work.claim("evt_1") is None
    assert work.waiting() == 0
    assert work.store.redis.zcard(EVENTS.dead) == 1
    assert work.store.redis.ttl(EVENTS.key("evt_1", "body")) == -1
    assert work.attempts("evt_1")[-1]["error"] == "it was too much"


def test_the_relay_rings_for_what_is_due_and_for_nothing_else(work: Work) -> None:
    record(work, "evt_1")
    record(work, "evt_2")
    work.store.redis.delete(EVENTS.queue)
    work.store.redis.zadd(EVENTS.due, {"evt_2": 1})
    assert relay(work.store, EVENTS)[0] == 1
    assert relay(work.store, EVENTS)[0] == 0
    assert work.store.redis.llen(EVENTS.queue) == 1


def test_the_relay_holds_back_while_the_queue_is_full(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.work.items.QUEUE_HIGH_WATER", 1)
    record(work, "evt_1")
    work.store.redis.zadd(EVENTS.due, {"evt_1": 1})
    assert relay(work.store, EVENTS)[0] == 0


def test_the_relay_rings_for_as_many_as_the_queue_has_room(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.work.items.QUEUE_HIGH_WATER", 5)
    for number in range(9):
        record(work, f"evt_{number}", max_waiting=20)
        work.store.redis.zadd(EVENTS.due, {f"evt_{number}": 1})
    work.store.redis.ltrim(EVENTS.queue, 0, 1)
    assert relay(work.store, EVENTS)[0] == 3
    assert work.store.redis.llen(EVENTS.queue) == 5


def test_ids_that_could_reach_another_key_are_refused(work: Work) -> None:
    from shared.errors import CallerError

    for bad in ("evt:1", "evt 1", "", "a%1", "é" * 5, "x" * 200):
        with pytest.raises(CallerError):
            work.claim(bad)


def stage(store: Store, *ids: str, payment: str = "pi_1") -> None:
    """Put notifications in a payment's outbox as settling does: the first scheduled, others not."""
    for number, notification in enumerate(ids):
        store.redis.hset(
            NOTIFICATIONS.key(notification),
            mapping={
                "id": notification,
                "state": "waiting" if number else "queued",
                "payment_id": payment,
                "recorded_at": "1",
            },
        )
        store.redis.rpush(key("payment", payment, "outbox"), notification)
    store.redis.zadd(NOTIFICATIONS.due, {ids[0]: 1})


def test_a_notification_waits_for_the_one_before_it(store: Store) -> None:
    outbox = Outbox(store, SETTINGS)
    stage(store, "ntf_1", "ntf_2")
    assert outbox.work.claim("ntf_2") is None
    first = claim(outbox.work, "ntf_1")
    outbox.work.postpone(first, 0, error="not taken")
    assert outbox.work.claim("ntf_2") is None
    assert outbox.delivered(claim(outbox.work, "ntf_1")) is True
    assert claim(outbox.work, "ntf_2").attempts == 1


def test_a_dead_notification_lets_the_next_go(store: Store) -> None:
    outbox = Outbox(store, SETTINGS)
    stage(store, "ntf_1", "ntf_2")
    assert outbox.dead(claim(outbox.work, "ntf_1"), "72 hours") is True
    assert claim(outbox.work, "ntf_2")
    assert store.redis.zscore(NOTIFICATIONS.dead, "ntf_1")


def test_payments_never_wait_for_one_another(store: Store) -> None:
    outbox = Outbox(store, SETTINGS)
    stage(store, "ntf_1", payment="pi_1")
    stage(store, "ntf_9", payment="pi_2")
    claim(outbox.work, "ntf_1")
    assert claim(outbox.work, "ntf_9")
