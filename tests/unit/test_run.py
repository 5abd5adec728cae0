"""The runner: what each result of an attempt stores, counts, logs and returns."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from shared.deadline import remaining
from shared.errors import CallerError, Unavailable
from shared.facts import Fact
from shared.keys import State
from shared.store.figures import Figures, flush, read
from shared.store.scripts import Store
from shared.telemetry.tally import (
    ATTEMPTS,
    DELIVERIES,
    EVENT_OUTCOMES,
    NOTIFICATION_DELAY,
    OTHER,
    Metric,
)
from shared.telemetry.tracing import SpanKind, span
from shared.work.items import Claim, Recording, Work
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS, UPKEEP, Kind
from shared.work.payments import Payments
from shared.work.results import Dead, Done, Established, Result, Retry, Snooze
from tests.conftest import make_settings
from worker import run as runner
from worker.jobs import JOBS
from worker.run import MAX_CRASHES, Job, run
from worker.runtime import Runtime

Json = dict[str, Any]
ITEM = "evt_1"
FIELDS = {"type": "charge.updated", "payment_id": "pi_1", "request_id": "req_1", "sequence": "1"}
ABOUT = {"id": ITEM, "attempt": 1} | {n: FIELDS[n] for n in ("type", "payment_id", "request_id")}


@dataclass
class Attempt:
    """What came of an attempt: its item, its line in the log, and what was returned."""

    runtime: Runtime
    kind: Kind
    returned: str | None
    line: Json
    was_tried: bool

    @property
    def state(self) -> str | None:
        keys = self.runtime.store.keys
        return self.runtime.store.hash(keys.item(self.kind, ITEM)).get("state")

    def counts(self, metric: Metric) -> Mapping[tuple[str, ...], float]:
        return self._figures(metric).counts

    def sums(self, metric: Metric) -> list[float]:
        return list(self._figures(metric).sums.values())

    def _figures(self, metric: Metric) -> Figures:
        flush(self.runtime.store)
        (figures,) = [one for one in read(self.runtime.store) if one.metric is metric]
        return figures


@pytest.fixture
def runtime(fake_store: Store) -> Runtime:
    """Return a worker's runtime."""
    return Runtime(make_settings(event_max_attempts=7, retry_base_seconds=8), fake_store)


def record(runtime: Runtime, kind: Kind = EVENTS, **fields: Any) -> Work:
    work = Work(runtime.store, kind)
    texts = {name: str(value) for name, value in (FIELDS | fields).items()}
    work.record(Recording(ITEM, State.QUEUED, texts, 10, body="{}"))
    runtime.store.redis.hset(runtime.store.keys.item(kind, ITEM), mapping=texts)
    return work


def attempt(
    runtime: Runtime, kind: Kind, result: Result | Exception, *, job: Json | None = None
) -> Attempt:
    """Make one attempt that ends in a result or an error."""
    claims: list[Claim] = []

    def act(its_runtime: Runtime, claim: Claim) -> Result:
        assert (its_runtime, claim.id) == (runtime, ITEM)
        claims.append(claim)
        if isinstance(result, Exception):
            raise result
        return result

    structlog.reset_defaults()
    with capture_logs() as lines:
        returned = run(replace(JOBS[kind.name], **{"act": act, **(job or {})}), runtime, ITEM)
    (line,) = lines
    return Attempt(runtime, kind, returned, dict(line), bool(claims))


DEFECT = KeyError("amount")
DOWN = Unavailable("Stripe is down.", code="stripe_down", retry_after_seconds=60)
REFUSAL = CallerError("No such charge.", code="missing")


@pytest.mark.parametrize(
    ("result", "stored", "level", "logged"),
    [
        (Done(State.IGNORED), "ignored", "info", {"outcome": "ignored"}),
        (Done(State.PROCESSED, "nothing_new"), "processed", "info", {"outcome": "nothing_new"}),
        (
            Retry("ill", 1.23456),
            "retrying",
            "info",
            {"outcome": "retry", "error": "ill", "next_attempt_in_seconds": 1.235},
        ),
        (
            Snooze(2.5, "not yet"),
            "retrying",
            "info",
            {"outcome": "snooze", "error": "not yet", "next_attempt_in_seconds": 2.5},
        ),
        (Snooze(2.5), "retrying", "info", {"outcome": "snooze", "next_attempt_in_seconds": 2.5}),
        (Dead("given up"), "dead", "error", {"outcome": "dead", "error": "given up"}),
        (
            DOWN,
            "retrying",
            "info",
            {"outcome": "retry", "error": str(DOWN), "next_attempt_in_seconds": 60},
        ),
        (REFUSAL, "dead", "error", {"outcome": "dead", "error": str(REFUSAL)}),
        (
            DEFECT,
            "retrying",
            "error",
            {"outcome": "retry", "error": "defect: KeyError: 'amount'", "exc_info": DEFECT},
        ),
    ],
    ids=lambda value: getattr(value, "outcome", None) or type(value).__name__,
)
def test_each_result_is_stored_and_logged(
    runtime: Runtime, result: Result | Exception, stored: str, level: str, logged: Json
) -> None:
    record(runtime)
    of_it = attempt(runtime, EVENTS, result)
    assert of_it.state == stored
    assert of_it.returned == (logged["error"] if stored == "dead" else None)
    line = of_it.line
    assert 0 <= line.pop("duration_ms") < 60_000
    pause = line.get("next_attempt_in_seconds")
    if result is DEFECT:
        assert 0 < line.pop("next_attempt_in_seconds") <= 8
    elif pause is not None:
        assert pause == pytest.approx(logged["next_attempt_in_seconds"], rel=0.25)
        logged = logged | {"next_attempt_in_seconds": pause}
    expected = {"event": "work_attempt", "log_level": level, "kind": "events"}
    assert line == expected | ABOUT | logged


def test_a_pause_is_logged_to_the_millisecond(runtime: Runtime) -> None:
    record(runtime)
    assert attempt(runtime, EVENTS, Retry("ill", 1.23456)).line["next_attempt_in_seconds"] == 1.235


def test_a_peers_answer_is_stored_and_not_logged(runtime: Runtime) -> None:
    work = record(runtime)
    of_it = attempt(runtime, EVENTS, Retry("ill", 1, {"answer": "Jane Doe", "status_code": 500}))
    assert "Jane" not in str(of_it.line)
    assert of_it.line["status_code"] == 500
    (entry,) = work.attempts(ITEM)
    assert (entry["answer"], entry["status_code"]) == ("Jane Doe", 500)


def test_what_is_not_due_is_not_tried(runtime: Runtime) -> None:
    def never(*_: object) -> Result:
        raise AssertionError("it was tried")

    assert run(replace(JOBS["events"], act=never), runtime, "evt_unknown") is None


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_lost_claim_is_an_outcome_of_its_own(runtime: Runtime, kind: Kind) -> None:
    record(runtime, kind)
    name = runtime.store.keys.item(kind, ITEM)
    structlog.reset_defaults()

    def act(_: Runtime, __: Claim) -> Result:
        runtime.store.redis.hincrby(name, "fence", 1)
        return Dead("given up")

    with capture_logs() as lines:
        returned = run(replace(JOBS[kind.name], act=act), runtime, ITEM)
    assert returned is None
    assert [(line["outcome"], line["log_level"]) for line in lines] == [("lost", "info")]
    assert runtime.store.hash(name)["state"] == "processing"
    flush(runtime.store)
    counts = {one.metric.name: one.counts for one in read(runtime.store) if one.counts}
    assert counts[ATTEMPTS.name] == {(kind.name, "lost"): 1}


@pytest.mark.parametrize("crashes", [MAX_CRASHES - 1, MAX_CRASHES])
@pytest.mark.parametrize("kind", [EVENTS, UPKEEP], ids=lambda kind: kind.name)
def test_what_its_workers_die_of_is_given_up_untried(
    runtime: Runtime, kind: Kind, crashes: int
) -> None:
    record(runtime, kind)
    runtime.store.redis.hset(runtime.store.keys.item(kind, ITEM), "crashes", crashes)
    of_it = attempt(runtime, kind, Snooze(1.0))
    given_up = kind.mortal and crashes == MAX_CRASHES
    reason = f"crash_limit: {crashes} workers died or hung on it"
    assert of_it.returned == (reason if given_up else None)
    assert of_it.was_tried == (not given_up)


def test_an_attempt_has_the_deadline_of_its_kind(runtime: Runtime) -> None:
    work = record(runtime)
    left: list[float | None] = []

    def act(*_: object) -> Result:
        left.append(remaining())
        return Snooze(1.0)

    run(replace(JOBS["events"], act=act), runtime, ITEM)
    (seconds,) = left
    assert seconds is not None
    assert work.longest_seconds - 30 < seconds <= work.longest_seconds
    assert remaining() is None


@pytest.mark.parametrize("kind", [EVENTS, NOTIFICATIONS], ids=lambda kind: kind.name)
def test_an_attempt_is_a_span_below_the_callers(
    runtime: Runtime, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[Json] = []

    def recorder(name: str, **attributes: Any) -> Any:
        spans.append({"name": name, **attributes})
        return span(name, **attributes)

    monkeypatch.setattr(runner, "span", recorder)
    record(runtime, kind, traceparent="00-1-2-01")
    attempt(runtime, kind, Snooze(1.0))
    consumer = SpanKind.CONSUMER
    assert spans == [{"name": kind.task, "parent": "00-1-2-01", "kind": consumer}]


def test_the_most_attempts_are_those_of_the_job(runtime: Runtime) -> None:
    record(runtime)
    settings: list[Any] = []

    def most(its_settings: Any) -> int:
        settings.append(its_settings)
        return 1

    of_it = attempt(runtime, EVENTS, DOWN, job={"max_attempts": most})
    assert (of_it.state, settings) == ("dead", [runtime.settings])


def test_while_the_breaker_is_open_a_notification_is_put_off_as_its_job_says(
    runtime: Runtime,
) -> None:
    work = record(runtime, NOTIFICATIONS)
    for name in ("breaker", "probe"):
        runtime.store.redis.set(getattr(runtime.store.keys, name)(), 1, px=1000)
    job = replace(JOBS["notifications"], pause_ms=lambda: 4321)
    assert run(job, runtime, ITEM) is None
    item = runtime.store.hash(runtime.store.keys.item(NOTIFICATIONS, ITEM))
    assert (item["delay_ms"], item["attempts"]) == ("4321", "0")
    assert work.attempts(ITEM) == []
    assert Job(EVENTS, act=job.act, max_attempts=job.max_attempts).pause_ms() == 0


@pytest.mark.parametrize(
    ("kind", "type_", "metric", "counts"),
    [
        (EVENTS, "charge.updated", EVENT_OUTCOMES, {("charge.updated", "ignored"): 1}),
        (EVENTS, "invoice.paid", EVENT_OUTCOMES, {(OTHER, "ignored"): 1}),
        (EVENTS, "charge.updated", DELIVERIES, {}),
        (NOTIFICATIONS, "payment.failed", DELIVERIES, {("payment.failed", "ignored"): 1}),
        (NOTIFICATIONS, "payment.failed", EVENT_OUTCOMES, {}),
        (REFUNDS, "", DELIVERIES, {}),
        (REFUNDS, "", ATTEMPTS, {("refunds", "ignored"): 1}),
    ],
)
def test_attempts_are_counted_by_kind_type_and_outcome(
    runtime: Runtime,
    kind: Kind,
    type_: str,
    metric: Metric,
    counts: Mapping[tuple[str, ...], float],
) -> None:
    record(runtime, kind, type=type_)
    of_it = attempt(runtime, kind, Done(State.IGNORED))
    assert of_it.counts(metric) == counts
    assert ("type" in of_it.line) == bool(type_)


def test_an_event_without_a_type_is_another(runtime: Runtime) -> None:
    record(runtime)
    runtime.store.redis.hdel(runtime.store.keys.item(EVENTS, ITEM), "type")
    of_it = attempt(runtime, EVENTS, Snooze(1.0))
    assert of_it.counts(EVENT_OUTCOMES) == {(OTHER, "snooze"): 1}


@pytest.mark.parametrize(
    ("result", "ago", "seconds"),
    [
        (Done(State.DELIVERED), 100, 100),
        (Done(State.DELIVERED), None, None),
        (Retry("ill", 1), 100, None),
    ],
)
def test_the_delay_of_a_delivery_counts_from_stripes_event(
    runtime: Runtime, result: Result, ago: int | None, seconds: float | None
) -> None:
    created = {} if ago is None else {"created": math.floor(time.time()) - ago}
    record(runtime, NOTIFICATIONS, **created)
    sums = attempt(runtime, NOTIFICATIONS, result).sums(NOTIFICATION_DELAY)
    assert len(sums) == (0 if seconds is None else 1)
    assert all(abs(one - (seconds or 0)) < 30 for one in sums)


def test_an_attempt_lasts_from_its_claim(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Claim, "elapsed_seconds", 2000.0)
    created = math.floor(time.time())
    record(runtime, NOTIFICATIONS, created=created)
    of_it = attempt(runtime, NOTIFICATIONS, Done(State.DELIVERED))
    assert of_it.line["duration_ms"] == 2_000_000
    (delay,) = of_it.sums(NOTIFICATION_DELAY)
    assert 2000 <= delay < 2060


def test_a_delivery_before_stripes_event_had_no_delay(runtime: Runtime) -> None:
    record(runtime, NOTIFICATIONS, created=math.floor(time.time()) + 100)
    of_it = attempt(runtime, NOTIFICATIONS, Done(State.DELIVERED))
    assert of_it.sums(NOTIFICATION_DELAY) == [0]


def test_what_an_attempt_established_is_settled(runtime: Runtime) -> None:
    record(runtime)
    payment = Fact("pi_1", "payment", "succeeded", (1, 1), 1, {}, type="payment.succeeded", key="k")
    attempt(runtime, EVENTS, Done(State.PROCESSED, established=Established("pi_1", [payment])))
    assert runtime.store.redis.zcard(runtime.store.keys.due(NOTIFICATIONS)) == 1


def test_what_another_attempt_settled_meanwhile_is_kept(runtime: Runtime) -> None:
    payments = Payments(runtime.store, 60)
    before = payments.read("pi_1")
    for kind, subject in ((EVENTS, "re_1"), (REFUNDS, "re_2")):
        record(runtime, kind)
        fact = Fact(subject, "refund", "succeeded", (1, 1), 1, {"amount": 5})
        established = Established("pi_1", [fact], record=before)
        attempt(runtime, kind, Done(State.PROCESSED, established=established))
    assert set(payments.read("pi_1").known["subjects"]) == {"re_1", "re_2"}


def test_a_delivery_lets_the_next_of_its_payment_go(runtime: Runtime) -> None:
    record(runtime, NOTIFICATIONS)
    keys = runtime.store.keys
    runtime.store.redis.rpush(keys.outbox("pi_1"), ITEM, "ntf_next")
    attempt(runtime, NOTIFICATIONS, Done(State.DELIVERED))
    assert runtime.store.redis.lrange(keys.outbox("pi_1"), 0, -1) == ["ntf_next"]
