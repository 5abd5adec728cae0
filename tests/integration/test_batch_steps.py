"""Each step of a batch has no effect when it comes twice, late, or after an outdated read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from shared.errors import CallerError, Unavailable
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.scripts import Call, Store
from shared.work.batch import BatchRecord, Member, MemberState
from shared.work.batch_turns import CANCEL, COMPLETE, END_CANCELED, PAUSE, RESUME, Turn
from shared.work.batches import ASIDE_MS, STEPS, Batches, NewBatch, batch_id, member_job_id
from shared.work.ceilings import Ceiling
from shared.work.kinds import REFUNDS
from shared.work.refund_jobs import RefundRequest
from tests import servers
from tests.conftest import make_settings

Json = dict[str, Any]
BATCH = batch_id("caller", "key")
TERMS = (
    '{"percent":null,"amount":null,"keep_fee":null,"currency":null,'
    '"event_id":null,"reason":null,"metadata":{}}'
)
FIELDS = {"terms": TERMS, "caller": "shop", "account": ""}


@pytest.fixture
def batches(real_store: Store, settings: Settings) -> Batches:
    """Return a batch of three members."""
    all_batches = Batches(real_store, settings)
    all_batches.record(new(3))
    return all_batches


def new(count: int, *ceilings: Ceiling) -> NewBatch:
    members = [Member(f"pi_{n}", MemberState.NOT_BEGUN, 100, "sgd") for n in range(count)]
    return NewBatch(BATCH, dict(FIELDS), members, ceilings)


def first(batches: Batches) -> Member:
    return batches.members(BATCH, None, None, 1)[0]


def beginning(batches: Batches, member: Member) -> Call:
    request = RefundRequest(payment_id=member.payment, amount=100)
    return batches.beginning(batches.read(BATCH), member, request)


def begin(batches: Batches, member: Member) -> str:
    (outcome,) = batches.begin([beginning(batches, member)])
    return outcome


def begin_all(batches: Batches, count: int) -> list[str]:
    return batches.begin(
        [beginning(batches, one) for one in batches.members(BATCH, None, None, count)]
    )


def end(batches: Batches, member: Member, state: MemberState, tries: int = 0) -> str:
    """Put the end of a member's job into the list, as its script does; return the entry."""
    entry = f"{member_job_id(BATCH, member.payment, tries)}:1"
    batches._store.redis.rpush(batches._store.keys.ended_members(), entry)
    batches.end([batches.ending(BATCH, member.payment, [entry], {"state": state})])
    return entry


def counts(batches: Batches) -> Json:
    return {name: count for name, count in batches.read(BATCH).counts.items() if count}


def test_a_batch_recorded_twice_counts_once_against_its_ceiling(
    real_store: Store, settings: Settings
) -> None:
    batches = Batches(real_store, settings)
    ceiling = Ceiling("shop", "sgd", 300, 500)
    batches.record(new(3, ceiling))
    batches.record(new(3, ceiling))
    assert counts(batches) == {"not_begun": 3}
    spent = real_store.hash(real_store.keys.spending("shop", "sgd"))
    assert list(spent.values()) == ["300"]


def test_a_batch_above_a_ceiling_is_recorded_nowhere(real_store: Store, settings: Settings) -> None:
    batches = Batches(real_store, settings)
    with pytest.raises(CallerError, match="ceiling"):
        batches.record(new(3, Ceiling("shop", "sgd", 300, 299)))
    assert batches.find(BATCH) is None
    assert batches.active() == []


def test_a_piece_that_is_written_twice_is_there_once(
    real_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.work.batches.PIECE", 2)
    run = Store.run

    def twice(store: Store, call: Call) -> Any:
        run(store, call)
        return run(store, call)

    monkeypatch.setattr(Store, "run", twice)
    batches = Batches(real_store, settings)
    batches.record(new(5))
    assert [m.payment for m in batches.members(BATCH, None, None, 10)] == [
        f"pi_{n}" for n in range(5)
    ]


def test_members_of_a_later_piece_have_places_of_their_own(
    real_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.work.batches.PIECE", 2)
    batches = Batches(real_store, settings)
    batches.record(new(5))
    rest = batches.members(BATCH, MemberState.NOT_BEGUN, 1, 10)
    assert [m.payment for m in rest] == ["pi_2", "pi_3", "pi_4"]


def test_pieces_of_a_batch_that_was_not_recorded_are_forgotten(
    real_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise Unavailable("the process died")

    monkeypatch.setattr(Store, "run_durably", fail)
    with pytest.raises(Unavailable):
        Batches(real_store, settings).record(new(3))
    names = cast(list[str], real_store.redis.keys("*batch*"))
    assert len(names) == 3
    assert all(0 < cast(int, real_store.redis.pttl(name)) <= ASIDE_MS for name in names)


def test_a_member_that_came_to_its_end_is_not_begun_by_an_old_reading(batches: Batches) -> None:
    member = first(batches)
    assert begin(batches, member) == "begun"
    end(batches, member, MemberState.REFUNDED)
    assert begin(batches, member) == "refunded"
    assert counts(batches) == {"not_begun": 2, "refunded": 1}


def test_the_job_of_a_member_is_in_the_list_of_jobs(batches: Batches, real_store: Store) -> None:
    begin(batches, first(batches))
    jobs = real_store.redis.zrange(real_store.keys.index(REFUNDS), 0, -1)
    assert jobs == [member_job_id(BATCH, first(batches).payment, 0)]


@pytest.mark.parametrize(("turn", "state"), [(PAUSE, "paused"), (CANCEL, "canceled")])
def test_nothing_is_begun_in_a_batch_that_does_not_run(
    batches: Batches, real_store: Store, turn: Any, state: str
) -> None:
    assert batches.turn(BATCH, turn) == state
    assert begin(batches, first(batches)) == state
    assert counts(batches) == {"not_begun": 3}
    assert not real_store.redis.zcard(real_store.keys.due(REFUNDS))


def test_the_end_of_an_earlier_try_moves_nothing(batches: Batches) -> None:
    member = first(batches)
    begin(batches, member)
    end(batches, member, MemberState.FAILED)
    failed = batches.members(BATCH, MemberState.FAILED, None, 10)
    assert batches.again(BATCH, MemberState.FAILED, 2**52, failed) == 1
    assert begin(batches, first(batches)) == "begun"
    end(batches, member, MemberState.DEAD)
    assert counts(batches) == {"not_begun": 2, "begun": 1}
    end(batches, member, MemberState.REFUNDED, tries=1)
    assert counts(batches) == {"not_begun": 2, "refunded": 1}


def test_an_end_that_was_taken_already_moves_nothing(batches: Batches) -> None:
    """An upkeep read the list and hung; meanwhile another took the entry, and a person retried."""
    member = first(batches)
    begin(batches, member)
    entry = end(batches, member, MemberState.FAILED)
    failed = batches.members(BATCH, MemberState.FAILED, None, 10)
    assert batches.again(BATCH, MemberState.FAILED, 2**52, failed) == 1
    batches.end([batches.ending(BATCH, member.payment, [entry], {"state": MemberState.FAILED})])
    assert counts(batches) == {"not_begun": 3}


def test_an_end_that_is_heard_again_leaves_the_member_where_it_was(batches: Batches) -> None:
    member = first(batches)
    begin(batches, member)
    end(batches, member, MemberState.FAILED)
    before, read = first(batches), batches.read(BATCH)
    end(batches, member, MemberState.FAILED)
    assert first(batches) == before
    assert batches.read(BATCH).fields == read.fields


def test_ends_of_one_job_leave_the_list_together(batches: Batches, real_store: Store) -> None:
    member = first(batches)
    begin(batches, member)
    job = member_job_id(BATCH, member.payment, 0)
    handed = [job, f"{job}:evt_1", f"{job}:evt_2"]
    real_store.redis.rpush(real_store.keys.ended_members(), *handed, "rr_other")
    changes = {"state": MemberState.REFUNDED, "refund_id": "re_1", "failure_code": ""}
    batches.end([batches.ending(BATCH, member.payment, handed, changes)])
    assert batches.ended(10) == ["rr_other"]
    assert counts(batches) == {"not_begun": 2, "refunded": 1}


def test_more_steps_than_one_command_takes_are_all_taken(
    real_store: Store, settings: Settings
) -> None:
    batches = Batches(real_store, settings)
    batches.record(new(STEPS + 3))
    assert begin_all(batches, STEPS + 3) == ["begun"] * (STEPS + 3)
    assert counts(batches) == {"begun": STEPS + 3}


def test_a_step_that_redis_cannot_take_undoes_no_other(batches: Batches, real_store: Store) -> None:
    members = real_store.keys.batch_members(BATCH)
    member = real_store.redis.hget(members, "pi_1")
    steps = [beginning(batches, one) for one in batches.members(BATCH, None, None, 3)]
    real_store.redis.hset(members, "pi_1", "garbage")
    with pytest.raises(Unavailable):
        batches.begin(steps)
    real_store.redis.hset(members, "pi_1", str(member))
    assert counts(batches) == {"not_begun": 1, "begun": 2}
    assert batches.begin(steps) == ["begun", "begun", "begun"]
    assert counts(batches) == {"begun": 3}


def test_a_member_that_failed_after_the_retry_was_asked_for_is_left_alone(
    batches: Batches,
) -> None:
    member = first(batches)
    begin(batches, member)
    end(batches, member, MemberState.FAILED)
    (failed,) = batches.members(BATCH, MemberState.FAILED, None, 10)
    assert failed.ended_at is not None
    assert batches.again(BATCH, MemberState.FAILED, failed.ended_at - 1, [failed]) == 0
    assert batches.again(BATCH, MemberState.FAILED, failed.ended_at, [failed]) == 1


def test_a_retry_moves_nothing_that_is_in_another_state(batches: Batches) -> None:
    """An operator's list is old: meanwhile one of its refunds succeeded."""
    member = first(batches)
    begin(batches, member)
    end(batches, member, MemberState.FAILED)
    failed = batches.members(BATCH, MemberState.FAILED, None, 10)
    end(batches, member, MemberState.REFUNDED)
    assert batches.again(BATCH, MemberState.FAILED, 2**52, failed) == 0
    assert counts(batches) == {"not_begun": 2, "refunded": 1}


def test_a_retry_moves_nothing_in_a_batch_that_does_not_run(batches: Batches) -> None:
    member = first(batches)
    begin(batches, member)
    end(batches, member, MemberState.FAILED)
    failed = batches.members(BATCH, MemberState.FAILED, None, 10)
    batches.turn(BATCH, CANCEL)
    assert batches.again(BATCH, MemberState.FAILED, 2**52, failed) == 0
    assert counts(batches) == {"not_begun": 2, "failed": 1}


@pytest.mark.parametrize("left", ["batch", "batch_members"])
def test_an_end_brings_nothing_back_of_a_batch_that_was_forgotten(
    batches: Batches, real_store: Store, left: str
) -> None:
    """Its keys expire one by one, and what came back would be kept for ever."""
    member, keys = first(batches), real_store.keys
    begin(batches, member)
    names = {name: getattr(keys, name)(BATCH) for name in ("batch", "batch_members")}
    real_store.redis.delete(*(name for what, name in names.items() if what != left))
    before = real_store.hash(names[left])
    end(batches, member, MemberState.REFUNDED)
    assert {what: real_store.hash(name) for what, name in names.items()} == {
        what: before if what == left else {} for what in names
    }
    assert batches.ended(10) == []


def test_a_batch_whose_members_were_forgotten_is_not_recorded(
    real_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process hung so long that the parts it had written expired."""
    monkeypatch.setattr(Batches, "_write_aside", lambda *_: None)
    batches = Batches(real_store, settings)
    with pytest.raises(Unavailable, match="batch_incomplete"):
        batches.record(new(3))
    assert batches.find(BATCH) is None
    assert batches.active() == []


def test_a_running_batch_is_kept_with_its_members(batches: Batches, real_store: Store) -> None:
    names = cast(list[str], real_store.redis.keys("*batch*"))
    assert len(names) == len(["batch", "members", "places", "payments", "all", "active"])
    assert {real_store.redis.ttl(name) for name in names} == {-1}


@pytest.mark.parametrize(("turn", "added"), [(PAUSE, 1), (CANCEL, 0)])
def test_late_payments_are_added_before_a_paused_batch_completes(
    batches: Batches, turn: Turn, added: int
) -> None:
    batches.turn(BATCH, turn)
    assert batches.add(BATCH, [Member("pi_late", MemberState.LATE, 100, "sgd")]) == added


def test_a_payment_is_added_to_a_batch_once(batches: Batches) -> None:
    late = [Member(f"pi_{n}", MemberState.LATE, 100, "sgd") for n in (1, 3)]
    before = int(batches.read(BATCH).fields.get("revision", 0))
    assert [batches.add(BATCH, late) for _ in range(2)] == [1, 0]
    assert counts(batches) == {"not_begun": 3, "late": 1}
    assert [one.payment for one in batches.members(BATCH, None, None, 10)] == [
        f"pi_{n}" for n in range(4)
    ]
    assert int(batches.read(BATCH).fields["revision"]) == before + 1


def test_a_batch_with_open_members_is_not_completed(batches: Batches) -> None:
    assert batches.turn(BATCH, COMPLETE) == "running"
    assert batches.read(BATCH).state == "running"


def test_a_batch_with_a_retry_to_come_is_not_completed(batches: Batches, real_store: Store) -> None:
    for member in batches.members(BATCH, None, None, 10):
        begin(batches, member)
        end(batches, member, MemberState.REFUNDED)
    real_store.redis.hset(real_store.keys.batch(BATCH), "retry:failed", "0")
    assert batches.turn(BATCH, COMPLETE) == "running"
    real_store.redis.hdel(real_store.keys.batch(BATCH), "retry:failed")
    assert batches.turn(BATCH, COMPLETE) == "completed"


def test_the_end_of_a_canceled_batch_is_told_once(batches: Batches, real_store: Store) -> None:
    """The second call comes from another upkeep, or from the same one after a broken connection."""
    batches.turn(BATCH, CANCEL)
    assert [batches.turn(BATCH, END_CANCELED) for _ in range(2)] == ["canceled", "canceled"]
    outbox = real_store.redis.lrange(real_store.keys.outbox(BATCH), 0, -1)
    assert len(outbox) == len(["started", "completed"])


@pytest.mark.parametrize("state", [MemberState.BEGUN, MemberState.WAITING])
def test_a_canceled_batch_ends_after_the_refunds_it_began(
    batches: Batches, real_store: Store, state: MemberState
) -> None:
    member = first(batches)
    begin(batches, member)
    end(batches, member, state)
    batches.turn(BATCH, CANCEL)
    outbox = real_store.keys.outbox(BATCH)
    batches.turn(BATCH, END_CANCELED)
    assert real_store.redis.llen(outbox) == len(["started"])
    end(batches, member, MemberState.REFUNDED)
    batches.turn(BATCH, END_CANCELED)
    assert real_store.redis.llen(outbox) == len(["started", "completed"])


def test_a_canceled_batch_that_ended_is_left_alone_and_forgotten_in_time(
    batches: Batches, real_store: Store, settings: Settings
) -> None:
    batches.turn(BATCH, CANCEL)
    assert batches.active() == [BATCH]
    assert real_store.redis.ttl(real_store.keys.batch(BATCH)) == -1
    batches.turn(BATCH, END_CANCELED)
    assert batches.active() == []
    lives = settings.payment_retention_seconds
    assert lives - 60 < real_store.redis.ttl(real_store.keys.batch(BATCH)) <= lives


def test_a_batch_turns_only_as_it_was_read(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry between the read and the change of state is not lost."""
    for member in batches.members(BATCH, None, None, 10):
        begin(batches, member)
        end(batches, member, MemberState.FAILED)
    read = Batches.read
    late: list[BatchRecord] = []

    def read_and_be_late(these: Batches, name: str) -> BatchRecord:
        all_batches = read(these, name)
        if not late:
            late.append(all_batches)
            retried = these.members(BATCH, MemberState.FAILED, None, 10)
            these.again(BATCH, MemberState.FAILED, 2**52, retried)
        return all_batches

    monkeypatch.setattr(Batches, "read", read_and_be_late)
    assert batches.turn(BATCH, COMPLETE) == "running"
    assert counts(batches) == {"not_begun": 3}


def test_a_request_changes_the_state_of_a_batch_once(batches: Batches, real_store: Store) -> None:
    """It comes again after its answer was lost, and after somebody else resumed the batch."""
    real_store.redis.hset(real_store.keys.idempotency("digest"), "begun_at", 1)
    pause = replace(PAUSE, request="digest")
    assert batches.turn(BATCH, pause) == "paused"
    assert batches.turn(BATCH, RESUME) == "running"
    assert batches.turn(BATCH, pause) == "paused", "as it was then"
    assert batches.read(BATCH).state == "running"
    assert real_store.redis.exists(real_store.keys.idempotency(RESUME.request)) == 0


def test_resuming_measures_the_rate_anew(batches: Batches, real_store: Store) -> None:
    begin(batches, first(batches))
    end(batches, first(batches), MemberState.REFUNDED)
    batches.turn(BATCH, PAUSE)
    assert batches.read(BATCH).per_second(real_store.now_ms()) is None
    batches.turn(BATCH, RESUME)
    assert batches.read(BATCH).per_second(real_store.now_ms() + 10_000) == 0.0


def test_what_ended_is_kept_as_long_as_payments_and_retry_keeps_it(
    batches: Batches, real_store: Store, settings: Settings
) -> None:
    for member in batches.members(BATCH, None, None, 10):
        begin(batches, member)
        end(batches, member, MemberState.FAILED)
    batches.turn(BATCH, COMPLETE)
    keys = real_store.keys
    names = [
        name(BATCH)
        for name in (keys.batch, keys.batch_members, keys.batch_places, keys.batch_payments)
    ]
    lives = settings.payment_retention_seconds
    assert all(lives - 60 < real_store.redis.ttl(name) <= lives for name in names)
    assert batches.active() == []
    batches.turn(BATCH, replace(RESUME, start=("completed",)))
    assert {real_store.redis.ttl(name) for name in names} == {-1}
    assert batches.active() == [BATCH]


def test_every_step_runs_on_a_server_in_cluster_mode() -> None:
    with servers.valkey(cluster=True) as url:
        settings = make_settings(redis_url=url)
        with connect(settings, "tests") as client:
            batches = Batches(Store(client), settings)
            batches.record(new(3, Ceiling("shop", "sgd", 300, 500)))
            member = first(batches)
            assert begin(batches, member) == "begun"
            end(batches, member, MemberState.FAILED)
            failed = batches.members(BATCH, MemberState.FAILED, None, 10)
            assert batches.again(BATCH, MemberState.FAILED, 2**52, failed) == 1
            assert batches.add(BATCH, [Member("pi_late", MemberState.LATE, 100, "sgd")]) == 1
            assert batches.begin([batches.leaving_out(BATCH, member, "disputed")]) == ["begun"]
            assert batches.turn(BATCH, PAUSE) == "paused"
            assert counts(batches) == {"not_begun": 2, "left_out": 1, "late": 1}


def test_a_member_begins_each_time_the_pace_allows_one(batches: Batches) -> None:
    """Otherwise the budget puts most of them off, and payments wait behind a crowd of refunds."""
    now = batches._store.now_ms()
    (outcome,) = batches.begin(
        [batches.beginning(batches.read(BATCH), first(batches), request(), pace_ms=500)]
    )
    paced_to = float(batches.read(BATCH).fields["paced_to"])

    assert outcome == "begun"
    assert now - 500 <= paced_to <= batches._store.now_ms() - 500, "a second is made up for"
    dues = [batches.read(BATCH).due_members(int(paced_to) + ms, 500) for ms in (0, 499, 500, 999)]
    assert dues == [0, 0, 1, 1]
    assert batches.read(BATCH).due_members(int(paced_to) + 60_000, 500) == 2, "and no more"


def test_a_fresh_batch_begins_what_a_second_allows(batches: Batches) -> None:
    assert batches.read(BATCH).due_members(batches._store.now_ms(), 50) == 20


def request() -> RefundRequest:
    return RefundRequest(payment_id="pi_0", amount=100)
