"""The atomic scripts, on fakeredis and on a real server: claims, leases, marks."""

from __future__ import annotations

import json

import pytest

from shared.keys import Keys, State
from shared.store.scripts import Call, Store
from shared.work.items import Claim, Recording, Work
from shared.work.kinds import EVENTS, NOTIFICATIONS
from shared.work.outbox import Outbox
from shared.work.results import Dead, Done, Retry, Snooze
from tests.conftest import make_settings
from worker.relay import sweep

SETTINGS = make_settings()


@pytest.fixture
def work(store: Store) -> Work:
    """Return the inbox's `Work` on either store."""
    return Work(store, EVENTS)


def record(work: Work, event_id: str = "evt_1", max_waiting: int = 10) -> str:
    """Record an event without consequences."""
    fields = {"type": "payment_intent.created"}
    return work.record(Recording(event_id, "received", fields, max_waiting, body="{}"))


def claim(work: Work, event_id: str = "evt_1") -> Claim:
    """Claim an item; fail when it cannot be claimed."""
    claim_made = work.claim(event_id)
    assert claim_made is not None
    return claim_made


def expire_lease(work: Work, event_id: str = "evt_1") -> None:
    """End the lease of a claimed item, as time would."""
    work.store.redis.hset(work.store.keys.item(EVENTS, event_id), "lease_until", 1)
    work.store.redis.zadd(work.store.keys.due(EVENTS), {event_id: 1})


def test_recording_twice_changes_nothing_and_rings_once(work: Work) -> None:
    assert [record(work), record(work)] == ["recorded", "known"]
    assert work.store.redis.llen(work.store.keys.queue(EVENTS)) == 1
    assert work.waiting() == 1


def test_above_the_high_water_mark_nothing_is_written(work: Work) -> None:
    record(work, "evt_1", max_waiting=1)
    assert record(work, "evt_2", max_waiting=1) == "full"
    assert work.store.hash(work.store.keys.item(EVENTS, "evt_2")) == {}
    assert record(work, "evt_1", max_waiting=1) == "known"


def test_the_bell_carries_the_id_and_nothing_else(work: Work) -> None:
    record(work)
    message = json.loads(work.store.redis.lindex(work.store.keys.queue(EVENTS), 0))
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
    keys = work.store.keys
    names = {
        "item": keys.item(EVENTS, "evt_1"),
        "due": keys.due(EVENTS),
        "body": keys.body(EVENTS, "evt_1"),
        "breaker": keys.breaker(),
        "probe": keys.probe(),
    }
    call = Call("claim", names, ["evt_1", 1000, "one", 0, 0, 0])
    answers = [work.store.run(call) for _ in range(2)]
    fields = [dict(zip(a[0][::2], a[0][1::2], strict=True)) for a in answers]
    assert [(f["fence"], f["attempts"]) for f in fields] == [("1", "1"), ("1", "1")]


def test_a_lapsed_lease_is_another_workers_and_the_first_can_mark_nothing(work: Work) -> None:
    record(work)
    first = claim(work)
    expire_lease(work)
    second = claim(work)
    assert (second.attempts, second.crashes) == (2, 1)
    assert work.postpone(first, Retry("late", 1)) is False
    assert work.bury(first, Dead("late")) is False
    assert work.postpone(second, Retry("its own", 1)) is True


def test_a_retry_waits_until_it_is_due(work: Work) -> None:
    record(work)
    work.postpone(claim(work), Retry("ill", 60))
    assert work.claim("evt_1") is None
    work.store.redis.hset(work.store.keys.item(EVENTS, "evt_1"), "not_before", 1)
    assert claim(work).attempts == 2


def test_only_what_waits_for_a_retry_is_woken(work: Work) -> None:
    record(work)
    work.store.redis.delete(work.store.keys.queue(EVENTS))
    work.wake("evt_1")
    hold = claim(work)
    work.wake("evt_1")
    assert work.store.redis.llen(work.store.keys.queue(EVENTS)) == 0
    work.postpone(hold, Retry("ill", 3600))
    work.store.redis.delete(work.store.keys.queue(EVENTS))
    work.wake("evt_1")
    assert work.store.redis.llen(work.store.keys.queue(EVENTS)) == 1
    work.bury(claim(work), Dead("too much"))
    work.wake("evt_1")
    work.wake("evt_2")
    assert work.store.redis.llen(work.store.keys.queue(EVENTS)) == 1
    assert work.waiting() == 0


def test_a_snooze_gives_the_attempt_back(work: Work) -> None:
    record(work)
    work.postpone(claim(work), Snooze(0, "not yet"))
    assert claim(work).attempts == 1


def test_a_dead_letter_keeps_its_payload_and_its_evidence(work: Work) -> None:
    record(work)
    work.bury(claim(work), Dead("it was too much"))
    assert work.claim("evt_1") is None
    assert work.waiting() == 0
    assert work.store.redis.zcard(work.store.keys.dead(EVENTS)) == 1
    assert work.store.redis.ttl(work.store.keys.body(EVENTS, "evt_1")) == -1
    assert work.attempts("evt_1")[-1]["error"] == "it was too much"


def test_the_relay_rings_for_what_is_due_and_for_nothing_else(work: Work) -> None:
    record(work, "evt_1")
    record(work, "evt_2")
    work.store.redis.delete(work.store.keys.queue(EVENTS))
    work.store.redis.zadd(work.store.keys.due(EVENTS), {"evt_2": 1})
    assert sweep(work.store, EVENTS) == 1
    assert sweep(work.store, EVENTS) == 0
    assert work.store.redis.llen(work.store.keys.queue(EVENTS)) == 1


def test_the_relay_holds_back_while_the_queue_is_full(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.relay.QUEUE_HIGH_WATER", 1)
    record(work, "evt_1")
    work.store.redis.zadd(work.store.keys.due(EVENTS), {"evt_1": 1})
    assert sweep(work.store, EVENTS) == 0


def test_the_relay_rings_for_as_many_as_the_queue_has_room(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.relay.QUEUE_HIGH_WATER", 5)
    for number in range(9):
        record(work, f"evt_{number}", max_waiting=20)
        work.store.redis.zadd(work.store.keys.due(EVENTS), {f"evt_{number}": 1})
    work.store.redis.ltrim(work.store.keys.queue(EVENTS), 0, 1)
    assert sweep(work.store, EVENTS) == 3
    assert work.store.redis.llen(work.store.keys.queue(EVENTS)) == 5


def test_ids_that_could_reach_another_key_are_refused(work: Work) -> None:
    from shared.errors import CallerError

    for bad in ("evt:1", "evt 1", "", "a%1", "é" * 5, "x" * 200):
        with pytest.raises(CallerError):
            work.claim(bad)


def stage(store: Store, *ids: str, payment: str = "pi_1") -> None:
    """Put notifications into a payment's outbox as settling does: only the first is scheduled."""
    for number, notification in enumerate(ids):
        store.redis.hset(
            Keys().item(NOTIFICATIONS, notification),
            mapping={
                "id": notification,
                "state": "waiting" if number else "queued",
                "payment_id": payment,
                "recorded_at": "1",
            },
        )
        store.redis.rpush(store.keys.outbox(payment), notification)
    store.redis.zadd(store.keys.due(NOTIFICATIONS), {ids[0]: 1})


def test_a_notification_waits_for_the_one_before_it(store: Store) -> None:
    outbox = Outbox(store, SETTINGS)
    stage(store, "ntf_1", "ntf_2")
    assert outbox.claim("ntf_2") is None
    first = claim(outbox, "ntf_1")
    outbox.postpone(first, Retry("not taken", 0))
    assert outbox.claim("ntf_2") is None
    assert outbox.finish(claim(outbox, "ntf_1"), Done(State.DELIVERED)) is True
    assert claim(outbox, "ntf_2").attempts == 1


def test_a_dead_notification_lets_the_next_go(store: Store) -> None:
    outbox = Outbox(store, SETTINGS)
    stage(store, "ntf_1", "ntf_2")
    assert outbox.bury(claim(outbox, "ntf_1"), Dead("72 hours")) is True
    assert claim(outbox, "ntf_2")
    assert store.redis.zscore(store.keys.dead(NOTIFICATIONS), "ntf_1")


def test_payments_never_wait_for_one_another(store: Store) -> None:
    outbox = Outbox(store, SETTINGS)
    stage(store, "ntf_1", payment="pi_1")
    stage(store, "ntf_9", payment="pi_2")
    claim(outbox, "ntf_1")
    assert claim(outbox, "ntf_9")
