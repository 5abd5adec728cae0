"""The runner: claim an item, act, store the result, count the attempt and log it in one line.

For every kind of work, a function takes a claim and returns a result; only this module writes the
result to Redis, the metrics and the log. A claim that was lost during the attempt is an outcome of
its own, `lost`: the attempt changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.deadline import deadline
from shared.errors import BillingError
from shared.keys import State
from shared.settings import Settings
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import (
    DELIVERIES,
    EVENT_OUTCOMES,
    NOTIFICATION_DELAY,
    OTHER,
)
from shared.telemetry.tracing import SpanKind, span
from shared.work.items import Claim, Work
from shared.work.kinds import EVENTS, NOTIFICATIONS, Kind
from shared.work.results import LOST, Dead, Done, Result, Retry, Snooze
from worker.policy import decide
from worker.registry import HANDLERS
from worker.runtime import Runtime

log = get_logger(__name__)
# Workers that may die during attempts at an item before it becomes a dead letter.
MAX_CRASHES = 5
# The metric that also counts a kind's attempts by type.
BY_TYPE = {EVENTS.name: EVENT_OUTCOMES, NOTIFICATIONS.name: DELIVERIES}


@dataclass(frozen=True)
class Job:
    """How one kind of work is done: the function that acts on a claim, and its most attempts.

    `pause_ms` returns how long an item is put off while the breaker is open; 0 for a kind that does
    not need the event service.
    """

    kind: Kind
    act: Callable[[Runtime, Claim], Result]
    max_attempts: Callable[[Settings], int]
    pause_ms: Callable[[], int] = lambda: 0


def run(job: Job, runtime: Runtime, item_id: str) -> str | None:
    """Make one attempt at an item if it is due; safe to call with any id, at any time.

    Returns the reason if the item became a dead letter, else None. Raises `Unavailable` when Redis
    did not store the result: then the lease lapses and the relay rings again.
    """
    work = runtime.works[job.kind.name]
    claim = work.claim(item_id, pause_ms=job.pause_ms())
    if claim is None:
        return None
    result, error, held = _attempt(job, runtime, work, claim)
    outcome = _outcome(result) if held else LOST
    seconds = claim.elapsed_seconds
    _count(runtime, claim, outcome, seconds)
    _write_line(claim, result, outcome, seconds, error)
    return result.reason if outcome == State.DEAD and isinstance(result, Dead) else None


def _attempt(
    job: Job, runtime: Runtime, work: Work, claim: Claim
) -> tuple[Result, Exception | None, bool]:
    """Act and store the result; return it, the error behind it, and if the claim still held."""
    try:
        parent, seconds = claim.fields.get("traceparent"), work.longest_seconds
        with span(claim.kind.task, parent=parent, kind=SpanKind.CONSUMER), deadline(seconds):
            result = _act(job, runtime, claim)
        return result, None, _mark(runtime, work, claim, result)
    except Exception as error:  # noqa: BLE001 - the one edge of a worker: no failure may escape it
        max_attempts = job.max_attempts(runtime.settings)
        failed = decide(error, claim, runtime.settings, max_attempts)
        return failed, error, _mark(runtime, work, claim, failed)


def _act(job: Job, runtime: Runtime, claim: Claim) -> Result:
    """Act, unless too many workers died on the item: then it becomes a dead letter untried."""
    if claim.kind.mortal and claim.crashes >= MAX_CRASHES:
        return Dead(f"crash_limit: {claim.crashes} workers died or hung on it")
    return job.act(runtime, claim)


def _mark(runtime: Runtime, work: Work, claim: Claim, result: Result) -> bool:
    match result:
        case Done() if work is runtime.outbox:
            return runtime.outbox.finish(claim, result)
        case Done():
            return runtime.settlement.finish(claim, result)
        case Retry() | Snooze():
            return work.postpone(claim, result)
        case Dead():
            return work.bury(claim, result)


def _outcome(result: Result) -> str:
    if isinstance(result, Done):
        return result.outcome or result.state
    return result.outcome


def _count(runtime: Runtime, claim: Claim, outcome: str, seconds: float) -> None:
    tally, type_ = runtime.store.tally, claim.fields.get("type", "")
    if claim.kind is EVENTS and type_ not in HANDLERS:
        type_ = OTHER
    tally.attempt(claim.kind.name, outcome, BY_TYPE.get(claim.kind.name), type_)
    if outcome == State.DELIVERED and "created" in claim.fields:
        delay = claim.claimed_at_ms / 1000 + seconds - int(claim.fields["created"])
        tally.observe(NOTIFICATION_DELAY, max(0.0, delay))


def _write_line(
    claim: Claim, result: Result, outcome: str, seconds: float, error: Exception | None
) -> None:
    """Log the attempt in one line with all its fields; as an error only if a person must act."""
    defect = error is not None and not isinstance(error, BillingError)
    write = log.error if outcome == "dead" or defect else log.info
    delay = result.delay_seconds if isinstance(result, (Retry, Snooze)) else None
    fields = {
        "kind": claim.kind.name,
        "id": claim.id,
        "type": claim.fields.get("type"),
        "payment_id": claim.fields.get("payment_id"),
        "request_id": claim.fields.get("request_id"),
        "attempt": claim.attempts,
        "duration_ms": round(seconds * 1000),
        "outcome": outcome,
        "error": getattr(result, "reason", None),
        "next_attempt_in_seconds": None if delay is None else round(delay, 3),
        "exc_info": error if defect else None,
    }
    present = {name: value for name, value in fields.items() if value not in (None, "")}
    # A peer's answer is stored with the attempt but not logged: it may contain personal data.
    details = {name: value for name, value in result.details.items() if name != "answer"}
    write("work_attempt", **present, **details)
