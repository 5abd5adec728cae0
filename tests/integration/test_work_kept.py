"""What is stored of work, for how long, and what the end of a lease deletes; on either store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from api.refund_ceiling import COUNTED_MS
from shared.facts import Fact
from shared.keys import State
from shared.store.scripts import ATTEMPTS_LIMIT, TIMELINE_LIMIT, Call, Store
from shared.work.breaker import OPEN_MS, THRESHOLD, Breaker
from shared.work.items import Claim, Recording, Work
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS, UPKEEP
from shared.work.liveness import pulse
from shared.work.outbox import Outbox
from shared.work.payments import Payments
from shared.work.results import Dead, Done, Established, Retry
from shared.work.settlement import Settlement
from tests.conftest import make_settings
from worker.relay import CLOCK_SLACK_MS, DUTIES, ensure_duties, rewind

Json = dict[str, Any]
SETTINGS = make_settings()
OF_A_LEASE = {"lease_until", "token", "not_before", "delay_ms"}


@pytest.fixture
def work(store: Store) -> Work:
    """Return the inbox's `Work` on either store."""
    return Work(store, EVENTS)


def claimed(work: Work, event_id: str = "evt_1", **fields: str) -> Claim:
    """Record an event of a payment and claim it."""
    event_fields = {"type": "payment_intent.succeeded", "payment_id": "pi_1"} | fields
    work.record(Recording(event_id, "received", event_fields, 10, body="{}"))
    kept_item = work.claim(event_id)
    assert kept_item
    return kept_item


def item(work: Work, event_id: str = "evt_1") -> dict[str, str]:
    """Read an event."""
    return work.store.hash(work.store.keys.item(EVENTS, event_id))


def facts_of(*payments: str) -> list[Fact]:
    """Build the facts that payments succeeded."""
    return [
        Fact(
            subject=one,
            family="payment_intent",
            status="succeeded",
            rank=(1,),
            happened_at=1,
            snapshot={},
            type="payment.succeeded",
            key=one,
        )
        for one in payments
    ]


def settle(work: Work, claim: Claim, facts: Sequence[Fact] = (), **fields: Any) -> None:
    """Settle an event with facts about one payment."""
    established = Established("pi_1", [*facts])
    target = {"state": State.PROCESSED, "established": established} | fields
    assert Settlement(work.store, SETTINGS).finish(claim, Done(**target))


def lives_for(store: Store, name: str) -> int:
    """Return the seconds until a key expires; -1 for a key without expiry."""
    return int(store.redis.ttl(name))


def test_a_settled_event_is_kept_as_long_as_the_settings_say(work: Work) -> None:
    settle(work, claimed(work), facts_of("pi_1"))
    keys, lives = work.store.keys, SETTINGS.tombstone_retention_seconds
    assert lives - 60 < lives_for(work.store, keys.item(EVENTS, "evt_1")) <= lives
    assert lives - 60 < lives_for(work.store, keys.attempts(EVENTS, "evt_1")) <= lives
    body = SETTINGS.payload_retention_seconds
    assert body - 60 < lives_for(work.store, keys.body(EVENTS, "evt_1")) <= body
    payment = SETTINGS.payment_retention_seconds
    for name in (keys.payment("pi_1"), keys.timeline("pi_1")):
        assert payment - 60 < lives_for(work.store, name) <= payment


def notified(work: Work) -> tuple[Outbox, Claim]:
    """Stage a notification and claim it."""
    settle(work, claimed(work), facts_of("pi_1"))
    [notification] = work.store.redis.lrange(work.store.keys.outbox("pi_1"), 0, -1)
    outbox = Outbox(work.store, SETTINGS)
    claim = outbox.claim(notification)
    assert claim
    return outbox, claim


def test_a_delivered_notification_is_kept_as_long_as_the_settings_say(work: Work) -> None:
    outbox, claim = notified(work)
    outbox.finish(claim, Done(State.DELIVERED))
    keys, lives = work.store.keys, SETTINGS.tombstone_retention_seconds
    for name in (keys.item(NOTIFICATIONS, claim.id), keys.attempts(NOTIFICATIONS, claim.id)):
        assert lives - 60 < lives_for(work.store, name) <= lives
    assert [one["outcome"] for one in outbox.attempts(claim.id)] == ["delivered"]


def test_a_notification_that_was_given_up_is_kept_with_its_attempts(work: Work) -> None:
    outbox, claim = notified(work)
    outbox.bury(claim, Dead("72 hours"))
    keys = work.store.keys
    for name in (keys.item(NOTIFICATIONS, claim.id), keys.attempts(NOTIFICATIONS, claim.id)):
        assert lives_for(work.store, name) == -1
    assert [one["error"] for one in outbox.attempts(claim.id)] == ["72 hours"]


def test_an_event_that_was_given_up_is_kept_with_its_attempts(work: Work) -> None:
    attempts = work.store.keys.attempts(EVENTS, "evt_1")
    work.postpone(claimed(work), Retry("ill", 0.0))
    work.store.redis.pexpire(attempts, 60_000)
    again = work.claim("evt_1")
    assert again
    work.bury(again, Dead("too much"))
    assert lives_for(work.store, attempts) == -1


def test_a_follower_that_is_scheduled_keeps_its_pause(work: Work) -> None:
    outbox, claim = notified(work)
    due, queue = work.store.keys.due(NOTIFICATIONS), work.store.keys.queue(NOTIFICATIONS)
    work.store.redis.rpush(work.store.keys.outbox("pi_1"), "ntf_next")
    work.store.redis.zadd(due, {"ntf_next": 2**45})
    bells = work.store.redis.llen(queue)
    outbox.finish(claim, Done(State.DELIVERED))
    assert work.store.redis.zscore(due, "ntf_next") == 2**45
    assert work.store.redis.llen(queue) == bells


def test_nothing_of_a_lease_outlives_the_end_of_work(work: Work) -> None:
    work.postpone(claimed(work), Retry("ill", 0.001))
    assert not {"lease_until", "token"} & {*item(work)}
    work.store.redis.hset(work.store.keys.item(EVENTS, "evt_1"), "not_before", 1)
    again = work.claim("evt_1")
    assert again
    assert not {"not_before", "delay_ms"} & {*item(work)}
    settle(work, again)
    assert not OF_A_LEASE & {*item(work)}


def test_a_claim_is_looked_at_when_its_lease_ends(work: Work) -> None:
    claimed(work)
    due = work.store.redis.zscore(work.store.keys.due(EVENTS), "evt_1")
    assert due == float(item(work)["lease_until"])


@pytest.mark.parametrize("field", ["lease_until", "not_before"])
def test_a_lease_and_a_pause_end_to_the_millisecond(
    fake_store: Store, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    work = Work(fake_store, EVENTS)
    claimed(work)
    ends_at_ms = fake_store.now_ms() + 500
    state = {"lease_until": "processing", "not_before": "retrying"}[field]
    fields = {"state": state, field: ends_at_ms, "delay_ms": 1000}
    fake_store.redis.hset(fake_store.keys.item(EVENTS, "evt_1"), mapping=fields)
    clock = SimpleNamespace(time=lambda: (ends_at_ms - 1) / 1000)
    monkeypatch.setattr("fakeredis.commands_mixins.server_mixin.time", clock)
    assert work.claim("evt_1") is None
    clock.time = lambda: ends_at_ms / 1000
    assert work.claim("evt_1")


def test_the_time_of_the_first_attempt_stays(work: Work) -> None:
    claimed(work)
    name = work.store.keys.item(EVENTS, "evt_1")
    work.store.redis.hset(name, mapping={"first_attempt_at": 7, "lease_until": 1})
    assert work.claim("evt_1")
    assert item(work)["first_attempt_at"] == "7"


def test_a_finished_item_that_is_due_all_the_same_is_due_no_more(work: Work) -> None:
    settle(work, claimed(work))
    work.store.redis.zadd(work.store.keys.due(EVENTS), {"evt_1": 1})
    assert work.claim("evt_1") is None
    assert work.waiting() == 0


def test_what_waits_after_it_established_something_begins_anew(work: Work) -> None:
    settle(work, claimed(work), state=State.RETRYING, delay_seconds=60)
    kept_item = item(work)
    assert (kept_item["state"], kept_item["attempts"]) == ("retrying", "0")
    assert lives_for(work.store, work.store.keys.item(EVENTS, "evt_1")) == -1


def test_each_delivery_of_an_event_is_counted(work: Work) -> None:
    for _ in range(3):
        work.record(Recording("evt_1", "received", {"type": "x"}, 10, body="{}"))
    assert item(work)["deliveries"] == "3"


def test_an_account_that_is_known_is_compared_from_where_it_was(work: Work) -> None:
    claimed(work, account="acct_1")
    work.store.redis.zadd(work.store.keys.accounts(), {"acct_1": 100})
    claimed(work, "evt_2", account="acct_1")
    assert work.store.redis.zscore(work.store.keys.accounts(), "acct_1") == 100


def test_a_notification_is_in_the_index_of_its_kind(work: Work) -> None:
    settle(work, claimed(work), facts_of("pi_1"))
    [notification] = work.store.redis.lrange(work.store.keys.outbox("pi_1"), 0, -1)
    assert work.store.redis.zscore(work.store.keys.index(NOTIFICATIONS), notification)


@pytest.mark.parametrize("is_open", [False, True])
def test_a_new_notification_rings_unless_the_breaker_is_open(work: Work, is_open: bool) -> None:
    for number in range(THRESHOLD * is_open):
        Breaker(work.store).failed(f"pi_{number}")
    settle(work, claimed(work), facts_of("pi_1"))
    bells = work.store.redis.llen(work.store.keys.queue(NOTIFICATIONS))
    assert bells == int(not is_open)
    assert work.store.redis.zcard(work.store.keys.due(NOTIFICATIONS)) == 1


def test_a_list_keeps_its_newest_entries(work: Work) -> None:
    name = work.store.keys.timeline("pi_1")
    work.store.redis.rpush(name, *(f'{{"at_ms":{n}}}' for n in range(TIMELINE_LIMIT)))
    attempts = work.store.keys.attempts(EVENTS, "evt_1")
    work.store.redis.rpush(attempts, *(f'{{"at_ms":{n}}}' for n in range(ATTEMPTS_LIMIT)))
    settle(work, claimed(work), facts_of("pi_1"))
    for one, limit in ((name, TIMELINE_LIMIT), (attempts, ATTEMPTS_LIMIT)):
        entries = work.store.redis.lrange(one, 0, -1)
        assert len(entries) == limit
        assert json.loads(entries[0])["at_ms"] > 0


def test_two_bells_of_one_item_differ(work: Work) -> None:
    claimed(work)
    work.store.redis.hset(work.store.keys.item(EVENTS, "evt_1"), "state", "retrying")
    while work.store.redis.llen(work.store.keys.queue(EVENTS)) < 3:
        before = work.store.now_ms()
        while work.store.now_ms() == before:
            pass
        work.store.redis.hset(work.store.keys.item(EVENTS, "evt_1"), "state", "retrying")
        work.wake("evt_1")
    bells = work.store.redis.lrange(work.store.keys.queue(EVENTS), 0, -1)
    tags = {json.loads(bell)["properties"]["delivery_tag"] for bell in bells}
    assert len(tags) == len(bells)


def spend(
    store: Store, amount: int, ceiling: int, job: str = "rr_new", request: str = "none"
) -> int:
    """Count an amount against a ceiling; return the milliseconds to wait, 0 when it fits."""
    names = {
        "spending": [store.keys.spending("shop", "sgd")],
        "item": store.keys.item(REFUNDS, job),
        "idempotency": store.keys.idempotency(request),
    }
    ceilings = json.dumps([{"amount": amount, "ceiling": ceiling}])
    return int(store.run(Call("spend", names, [ceilings, COUNTED_MS])))


def test_to_ask_whether_amounts_fit_counts_none_of_them(store: Store) -> None:
    names: dict[str, str | Sequence[str]] = {"spending": [store.keys.spending("shop", "sgd")]}
    ceilings = json.dumps([{"amount": 60, "ceiling": 100}])
    ask = Call("fit", names, [ceilings, COUNTED_MS])
    assert [store.run(ask) for _ in range(3)] == [0, 0, 0]
    assert spend(store, 60, 100) == 0
    assert 0 < int(store.run(ask)) <= COUNTED_MS


def test_what_was_spent_within_the_hour_counts_though_its_minute_began_before(store: Store) -> None:
    name = store.keys.spending("shop", "sgd")
    store.redis.hset(name, mapping={str(store.now_ms() - 3_600_000 - 30_000): 100})
    assert 0 < spend(store, 1, 100) <= 30_000


def test_what_was_spent_an_hour_ago_counts_no_more(store: Store) -> None:
    name = store.keys.spending("shop", "sgd")
    store.redis.hset(name, mapping={str(store.now_ms() - COUNTED_MS - 1): 100})
    assert spend(store, 100, 100) == 0
    assert 0 < spend(store, 1, 100) <= COUNTED_MS


def test_a_job_that_is_recorded_is_counted_once(store: Store) -> None:
    store.redis.hset(store.keys.item(REFUNDS, "rr_old"), "id", "rr_old")
    assert [spend(store, 100, 100, "rr_old") for _ in range(3)] == [0, 0, 0]
    assert store.redis.exists(store.keys.spending("shop", "sgd")) == 0


def test_a_request_that_is_repeated_within_the_hour_is_counted_once(store: Store) -> None:
    """The API died after the count, and before the job was recorded."""
    record = store.keys.idempotency("digest")
    store.redis.hset(record, "begun_at", store.now_ms())
    assert [spend(store, 60, 100, request="digest") for _ in range(2)] == [0, 0]
    assert store.hash(store.keys.spending("shop", "sgd")).popitem()[1] == "60"
    store.redis.delete(store.keys.spending("shop", "sgd"))
    store.redis.hset(record, "done_at", store.now_ms() - COUNTED_MS - 1)
    assert [spend(store, 60, 100, request="digest") for _ in range(2)] == [0, 0]
    assert spend(store, 60, 100) > 0


def test_a_count_that_belongs_to_no_request_leaves_no_record(store: Store) -> None:
    spend(store, 60, 100)
    assert store.redis.exists(store.keys.idempotency("none")) == 0


@pytest.mark.parametrize("by_ms", [0, CLOCK_SLACK_MS // 2, CLOCK_SLACK_MS + 5000])
def test_due_times_go_back_with_a_clock_that_was_set_back_by_much(work: Work, by_ms: int) -> None:
    store = work.store
    claimed(work)
    due = float(str(store.redis.zscore(store.keys.due(EVENTS), "evt_1")))
    rewind(store)
    assert abs(int(store.get(store.keys.latest()) or 0) - store.now_ms()) < 10_000
    store.redis.set(store.keys.latest(), store.now_ms() + by_ms)
    rewind(store)
    moved = due - float(str(store.redis.zscore(store.keys.due(EVENTS), "evt_1")))
    is_much = by_ms > CLOCK_SLACK_MS
    assert (by_ms - 3000 < moved <= by_ms) if is_much else moved == 0
    ahead = int(store.get(store.keys.latest()) or 0) - store.now_ms()
    assert ahead <= (0 if is_much else by_ms)


def test_a_fact_that_was_told_leaves_no_gap_in_the_sequence(work: Work) -> None:
    settle(work, claimed(work), facts_of("pi_1"))
    work.store.redis.hdel(work.store.keys.payment("pi_1"), "known")
    settle(work, claimed(work, "evt_2"), facts_of("pi_1"))
    settle(work, claimed(work, "evt_3"), facts_of("ch_1"))
    ids = work.store.redis.lrange(work.store.keys.outbox("pi_1"), 0, -1)
    items = [work.store.hash(work.store.keys.item(NOTIFICATIONS, one)) for one in ids]
    assert [one["sequence"] for one in items] == ["1", "2"]


def test_a_duty_that_is_scheduled_or_runs_stays_as_it_is(store: Store) -> None:
    ensure_duties(store)
    duty = DUTIES[0]
    due = store.keys.due(UPKEEP)
    assert store.redis.zscore(due, duty) == 0
    store.redis.zadd(due, {duty: 77})
    store.redis.hset(store.keys.item(UPKEEP, duty), "state", "processing")
    ensure_duties(store)
    assert store.redis.zscore(due, duty) == 77
    assert store.hash(store.keys.item(UPKEEP, duty))["state"] == "processing"


def test_failures_and_an_open_breaker_are_forgotten_in_time(store: Store) -> None:
    for number in range(THRESHOLD):
        Breaker(store).failed(f"pi_{number}")
    for name in (store.keys.failing(), store.keys.breaker()):
        assert 0 < store.redis.pttl(name) <= OPEN_MS


def test_an_answer_lets_the_next_attempt_be_a_probe_at_once(store: Store) -> None:
    store.redis.set(store.keys.probe(), 1)
    Breaker(store).answered()
    assert not store.redis.exists(store.keys.probe())


def test_one_pulse_goes_to_each_idle_queue_in_an_interval(store: Store) -> None:
    store.redis.lpush(store.keys.queue(EVENTS), "a bell")
    pulse(store)
    store.redis.delete(store.keys.queue(REFUNDS))
    pulse(store)
    lengths = [store.redis.llen(store.keys.queue(kind)) for kind in KINDS.values()]
    assert dict(zip(KINDS, lengths, strict=True)) == {
        "events": 1,
        "refunds": 0,
        "notifications": 1,
        "upkeep": 1,
    }


def test_a_process_without_a_sign_is_forgotten(store: Store) -> None:
    names = {"signs": store.keys.signs("workers"), "clocks": store.keys.clocks()}
    store.redis.zadd(names["signs"], {"gone": 1})
    store.redis.hset(names["clocks"], "gone", 0)
    store.run(Call("sign", names, ["here", store.now_ms(), 60_000]))
    assert store.redis.zrange(names["signs"], 0, -1) == ["here"]
    assert [*store.hash(names["clocks"])] == ["here"]


def test_a_small_text_is_stored_for_its_time(store: Store) -> None:
    store.put("made", "re_1", 60)
    assert store.get("made") == "re_1"
    assert 50 < store.redis.ttl("made") <= 60


def test_what_was_looked_up_first_of_a_payment_stays(work: Work) -> None:
    """Two attempts looked it up at once, and somebody changed it at Stripe in between."""
    payments = Payments(work.store, 60)
    before = payments.read("pi_1")
    answers = ({"user_id": "1"}, {"user_id": "2", "event_id": "9"})
    for number, looked_up in enumerate(answers):
        established = Established("pi_1", facts_of(f"pi_{number}"), looked_up, before)
        settle(work, claimed(work, f"evt_{number}"), established=established)
    assert payments.read("pi_1").known["context"] == {"user_id": "1", "event_id": "9"}


def test_who_lost_the_claim_is_told_that_nothing_was_settled(work: Work) -> None:
    first = claimed(work)
    work.store.redis.hset(work.store.keys.item(EVENTS, "evt_1"), "lease_until", 1)
    second = work.claim("evt_1")
    assert second
    settlement, result = Settlement(work.store, SETTINGS), Done(State.PROCESSED)
    answers = [settlement.finish(one, result) for one in (first, second, second)]
    assert answers == [False, True, False]


def test_each_claim_of_a_members_job_tells_its_batch_of_another_end(store: Store) -> None:
    """Otherwise an upkeep that hung takes an end that it never read from the list."""
    jobs = Work(store, REFUNDS)
    jobs.record(Recording("rr_m1", "queued", {"payment_id": "pi_1", "batch_id": "rb_1"}, 10))
    first = jobs.claim("rr_m1")
    assert first
    jobs.postpone(first, Retry("no answer", 0.0))
    second = jobs.claim("rr_m1")
    assert second
    assert [first.ended, second.ended] == ["rr_m1:1", "rr_m1:2"]
