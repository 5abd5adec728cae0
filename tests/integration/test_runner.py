"""The runner: a lost claim is an outcome, and Redis's clock decides, not the host's."""

from __future__ import annotations

import datetime as datetimes
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from shared.errors import Inconsistent, NotYet, Unavailable
from shared.keys import Keys, State
from shared.store.figures import flush, read
from shared.store.scripts import Store
from shared.telemetry.tally import ATTEMPTS, DELIVERIES, EVENT_OUTCOMES
from shared.work.inbox import Inbox
from shared.work.items import Claim, Recording, Work
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS, UPKEEP, Kind
from shared.work.liveness import RELAY, Signs, alive
from shared.work.reconciliation import Reconciliation
from shared.work.results import Dead, Done, Result, Retry, Snooze
from tests.conftest import make_settings
from worker import relay
from worker.jobs import JOBS
from worker.run import run
from worker.runtime import Runtime

TWO_HOURS_MS = 2 * 3600 * 1000
TIMES = {"not_before", "lease_until", "recorded_at", "claimed_at"}


@pytest.fixture
def runtime(real_store: Store) -> Runtime:
    """Return a worker's runtime on a real Redis."""
    return Runtime(make_settings(), real_store)


def record(runtime: Runtime, kind: Kind, item: str = "evt_1") -> Work:
    """Record an item of a kind."""
    work = Work(runtime.store, kind)
    fields = {"type": "charge.updated", "payment_id": "pi_1", "sequence": "1"}
    assert work.record(Recording(item, State.QUEUED, fields, 10, body="{}")) == "recorded"
    return work


def attempts(runtime: Runtime, kind: Kind) -> dict[str, float]:
    """Return the counted attempts of a kind, by outcome."""
    flush(runtime.store)
    (figures,) = [figures_of for figures_of in read(runtime.store) if figures_of.metric is ATTEMPTS]
    return {values[1]: count for values, count in figures.counts.items() if values[0] == kind.name}


RESULTS: dict[str, Callable[[], Result]] = {
    "done": lambda: Done(State.IGNORED),
    "retry": lambda: Retry("ill", 1.0),
    "snooze": lambda: Snooze(1.0, "not yet"),
    "dead": lambda: Dead("given up"),
}


@pytest.mark.parametrize("kind", [EVENTS, REFUNDS, NOTIFICATIONS, UPKEEP], ids=lambda k: k.name)
@pytest.mark.parametrize("result", RESULTS)
def test_a_lost_claim_is_logged_and_counted_as_lost(
    runtime: Runtime, kind: Kind, result: str
) -> None:
    record(runtime, kind)

    def act(_: Runtime, claim: Claim) -> Result:
        name = runtime.store.keys.item(kind, claim.id)
        runtime.store.redis.hincrby(name, "fence", 1)  # another worker claimed it meanwhile
        return RESULTS[result]()

    before = runtime.store.hash(runtime.store.keys.item(kind, "evt_1"))
    structlog.reset_defaults()
    with capture_logs() as lines:
        run(replace(JOBS[kind.name], act=act), runtime, "evt_1")
    assert [line["outcome"] for line in lines] == ["lost"]
    assert attempts(runtime, kind) == {"lost": 1}
    after = runtime.store.hash(runtime.store.keys.item(kind, "evt_1"))
    assert after["state"] == "processing"
    assert before["state"] == "queued"
    fields = {
        figures.metric: figures.counts
        for figures in read(runtime.store)
        if figures.metric in (DELIVERIES, EVENT_OUTCOMES)
    }
    outcomes = {values[1] for counts in fields.values() for values in counts}
    assert outcomes <= {"lost"}


@pytest.mark.parametrize("kind", [EVENTS, REFUNDS, NOTIFICATIONS], ids=lambda k: k.name)
def test_what_kills_its_workers_is_given_up_untried(runtime: Runtime, kind: Kind) -> None:
    record(runtime, kind)
    runtime.store.redis.hset(runtime.store.keys.item(kind, "evt_1"), "crashes", 5)

    def never(_: Runtime, __: Claim) -> Result:
        raise AssertionError("it was tried")

    run(replace(JOBS[kind.name], act=never), runtime, "evt_1")
    assert attempts(runtime, kind) == {"dead": 1}


def test_upkeep_is_never_given_up(runtime: Runtime) -> None:
    work = record(runtime, UPKEEP, "reap")
    runtime.store.redis.hset(runtime.store.keys.item(UPKEEP, "reap"), "crashes", 50)
    for error in (Inconsistent("broken"), Unavailable("ill"), KeyError("defect")):

        def fail(_: Runtime, __: Claim, error: Exception = error) -> Result:
            raise error

        run(replace(JOBS["upkeep"], act=fail), runtime, "reap")
        runtime.store.redis.hdel(runtime.store.keys.item(UPKEEP, "reap"), "not_before")
    assert attempts(runtime, UPKEEP) == {"snooze": 3}
    assert work.waiting() == 1


def test_a_duty_wanted_while_it_runs_is_done_once_more(runtime: Runtime) -> None:
    relay.ensure_duties(runtime.store)
    reconciliation = Reconciliation(runtime.store)
    demanded: list[str] = []

    def act(_: Runtime, __: Claim) -> Result:
        demanded.append(reconciliation.demand())
        return Snooze(300.0)

    run(replace(JOBS["upkeep"], act=act), runtime, "reconcile")
    assert demanded == ["running"]
    due = runtime.store.redis.zscore(runtime.store.keys.due(UPKEEP), "reconcile")
    assert due <= runtime.store.now_ms()


class Skewed(datetimes.datetime):
    """A host's clock that is ahead of Redis's."""

    ahead = datetimes.timedelta()

    @classmethod
    def now(cls, tz: datetimes.tzinfo | None = None) -> datetimes.datetime:
        return datetimes.datetime.now(tz) + cls.ahead


@pytest.mark.parametrize("ahead_seconds", [-7200, -3, 3, 7200])
def test_a_hosts_clock_decides_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, ahead_seconds: int
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_seconds)
    monkeypatch.setattr(Skewed, "ahead", datetimes.timedelta(seconds=ahead_seconds))
    monkeypatch.setattr("shared.work.items.datetime", Skewed)
    work = record(runtime, EVENTS)

    def not_yet(_: Runtime, claim: Claim) -> Result:
        assert 0 <= claim.age_seconds < 60
        assert abs(claim.now.timestamp() - real()) < 60
        raise NotYet("its payment has not come")

    run(replace(JOBS["events"], act=not_yet), runtime, "evt_1")
    assert attempts(runtime, EVENTS) == {"snooze": 1}
    (attempt,) = work.attempts("evt_1")
    assert abs(attempt["at_ms"] / 1000 - real()) < 60
    assert 0 <= attempt["duration_ms"] < 60_000


def test_the_offset_of_a_hosts_clock_is_known(
    real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 90)
    Signs(real_store).give(RELAY)
    (offset,) = alive(real_store).clocks.values()
    assert 89 < offset < 91


def set_back(store: Store) -> None:
    """Shift all stored times as if the clock had been set back by two hours."""
    keys, redis = store.keys, store.redis
    redis.incrby(keys.latest(), TWO_HOURS_MS)
    for kind in KINDS.values():
        for item, score in redis.zrange(keys.due(kind), 0, -1, withscores=True):
            redis.zadd(keys.due(kind), {item: score + TWO_HOURS_MS})
            times = redis.hgetall(keys.item(kind, item))
            for field in TIMES & times.keys():
                redis.hincrby(keys.item(kind, item), field, TWO_HOURS_MS)


def test_work_goes_on_when_the_clock_was_set_back(runtime: Runtime) -> None:
    store = runtime.store
    work = record(runtime, EVENTS)
    relay.run_once(store)
    claim = work.claim("evt_1")
    assert claim is not None
    work.postpone(claim, Retry("ill", 0.2))
    set_back(store)
    assert work.claim("evt_1") is not None, "its pause of 0.2 s cannot last for two hours"
    store.redis.delete(store.keys.queue(EVENTS))
    relay.run_once(store)
    left_ms = store.redis.zscore(store.keys.due(EVENTS), "evt_1") - store.now_ms()
    assert left_ms < 70_000, "the due time went back with the clock"


def test_a_small_correction_of_the_clock_moves_nothing(runtime: Runtime) -> None:
    store = runtime.store
    record(runtime, EVENTS)
    relay.run_once(store)
    before = store.redis.zscore(store.keys.due(EVENTS), "evt_1")
    store.redis.incrby(store.keys.latest(), relay.CLOCK_SLACK_MS // 2)
    relay.rewind(store)
    assert store.redis.zscore(store.keys.due(EVENTS), "evt_1") == before


def test_a_lease_longer_than_any_has_lapsed(runtime: Runtime) -> None:
    work = record(runtime, EVENTS)
    assert work.claim("evt_1") is not None
    assert work.claim("evt_1") is None
    name = runtime.store.keys.item(EVENTS, "evt_1")
    runtime.store.redis.hincrby(name, "lease_until", TWO_HOURS_MS)
    assert work.claim("evt_1") is not None


@pytest.mark.parametrize("name", ["breaker", "probe", "pulse"])
def test_a_key_that_outlives_its_meaning_is_cut(runtime: Runtime, name: str) -> None:
    store = runtime.store
    store.redis.set(getattr(store.keys, name)(), "1", px=TWO_HOURS_MS)
    if name != "breaker":
        store.redis.set(store.keys.breaker(), "1", px=30_000)
    record(runtime, NOTIFICATIONS)
    if name == "pulse":
        from shared.work.liveness import pulse

        pulse(store)
        assert store.redis.llen(store.keys.queue(UPKEEP)) == 1
    else:
        assert Work(store, NOTIFICATIONS).claim("evt_1", pause_ms=5_000) is not None


def test_a_sign_of_life_from_the_future_is_none(real_store: Store) -> None:
    ahead = real_store.now_ms() + TWO_HOURS_MS
    real_store.redis.zadd(real_store.keys.signs(RELAY), {"dead:1": ahead})
    assert alive(real_store).upkeep_is_silent()
    assert min(alive(real_store).upkeep.values()) < -7000, "an age is not clamped"


def test_reconcile_visits_every_account_after_the_clock_was_set_back(real_store: Store) -> None:
    reconciliation = Reconciliation(real_store)
    first = reconciliation.open_round()
    reconciliation.visited("own", first + TWO_HOURS_MS)
    reconciliation.close_round()
    assert reconciliation.to_visit(reconciliation.open_round()) == ["own"]


def test_two_installations_on_one_redis_share_nothing(real_store: Store) -> None:
    other = Store(real_store.redis, Keys("other"))
    settings = make_settings()
    for store in (real_store, other):
        fields = {"type": "charge.updated"}
        work = Inbox(store, settings).work
        assert work.record(Recording("evt_1", State.RECEIVED, fields, 10)) == "recorded"
        relay.run_once(store)
        Signs(store).give("events")
    names = [str(name) for name in real_store.redis.keys("*")]
    assert all(name.startswith(("{billing}:", "{other}:")) for name in names)
    assert {name.partition("}")[0] for name in names} == {"{billing", "{other"}
    mine = Work(real_store, EVENTS).claim("evt_1")
    assert mine is not None
    assert Work(other, EVENTS).claim("evt_1") is not None, "it is another item"
