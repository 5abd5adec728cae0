"""One policy for failures: retry, snooze or dead letter, decided from who must act."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from structlog.typing import FilteringBoundLogger

from shared.errors import BillingError, NotYet, Unavailable
from shared.settings import Settings
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import ATTEMPTS, EVENT_OUTCOMES, OTHER
from shared.telemetry.tracing import SpanKind, span
from shared.work.items import EVENTS, MAX_CRASHES, Claim, Work
from worker.registry import handler_of
from worker.schedule import retry_delay_seconds

log = get_logger(__name__)
# A fact we wait for arrives within seconds or, if Stripe is slow, minutes; then somebody must look.
SNOOZE_LIMIT_SECONDS = 3600.0
# An error of our own making seldom heals by itself, but a deploy under way may be its cause.
DEFECT_ATTEMPTS = 5
_dice = random.SystemRandom()


@dataclass(frozen=True)
class Decision:
    """What happens to an item whose attempt failed: `retry`, `snooze` or `dead`."""

    verdict: str
    delay_seconds: float = 0.0


def decide(
    error: Exception, claim: Claim, settings: Settings, max_attempts: int, age_seconds: float
) -> Decision:
    """Decide what follows from a failed attempt; pure but for the jitter."""
    if isinstance(error, NotYet) and age_seconds < SNOOZE_LIMIT_SECONDS:
        return Decision("snooze", error.delay_seconds)
    if isinstance(error, Unavailable):
        budget = max_attempts
    elif isinstance(error, BillingError):
        budget = 0
    else:
        budget = min(DEFECT_ATTEMPTS, max_attempts)
    if claim.attempts >= budget:
        return Decision("dead")
    delay = retry_delay_seconds(
        claim.attempts,
        base_seconds=settings.retry_base_seconds,
        cap_seconds=settings.retry_cap_seconds,
        dice=_dice,
        retry_after_seconds=getattr(error, "retry_after_seconds", None),
    )
    return Decision("retry", delay)


def take(
    work: Work, item_id: str, give_up: Callable[[Claim, str], bool], *, pause_ms: int = 0
) -> Claim | None:
    """Claim an item; one that keeps killing its workers is given up before it is tried again.

    None when there is nothing to do. `pause_ms`: see `Work.claim`.
    """
    claim = work.claim(item_id, pause_ms=pause_ms)
    if claim is None or claim.crashes < MAX_CRASHES:
        return claim
    give_up(claim, f"crash_limit: {claim.crashes} workers died or hung on it")
    _count(work, claim, "dead")
    _bound(claim).error("work_attempt", outcome="dead", error="crash_limit")
    return None


def attempt(
    work: Work, item_id: str, act: Callable[[Claim], str], settings: Settings, max_attempts: int
) -> None:
    """Claim an item and make one attempt at it; decide what follows if it fails.

    `act` returns its outcome for the log. If the store cannot be told, the lease lapses and the
    relay rings.
    """
    claim = take(work, item_id, work.bury)
    if claim is None:
        return
    try:
        with span(claim.kind.task, parent=claim.fields.get("traceparent"), kind=SpanKind.CONSUMER):
            outcome = act(claim)
        _count(work, claim, outcome)
        _bound(claim).info("work_attempt", outcome=outcome, max_attempts=max_attempts)
    except Exception as error:  # noqa: BLE001 - the one edge of a worker: no failure may escape it
        _fail(work, claim, error, decide(error, claim, settings, max_attempts, _age(claim)))


def _fail(work: Work, claim: Claim, error: Exception, decision: Decision) -> None:
    bound = _bound(claim)
    expected = isinstance(error, BillingError)
    reason = str(error) if expected else f"defect: {type(error).__name__}: {error}"
    if decision.verdict == "dead":
        work.bury(claim, reason)
    else:
        give_back = decision.verdict == "snooze"
        work.postpone(claim, decision.delay_seconds, error=reason, give_back=give_back)
    _count(work, claim, decision.verdict)
    write = bound.error if decision.verdict == "dead" or not expected else bound.info
    write(
        "work_attempt",
        outcome=decision.verdict,
        error=reason,
        next_attempt_in_seconds=round(decision.delay_seconds, 3),
        exc_info=None if expected else error,
    )


def _bound(claim: Claim) -> FilteringBoundLogger:
    """Give the logger of one attempt: its line is one, and wide."""
    return log.bind(
        kind=claim.kind.name,
        id=claim.id,
        type=claim.fields.get("type"),
        request_id=claim.fields.get("request_id"),
        attempt=claim.attempts,
        duration_ms=round((datetime.now(UTC) - claim.started_at).total_seconds() * 1000),
    )


def _count(work: Work, claim: Claim, outcome: str) -> None:
    tally = work.store.tally
    tally.count(ATTEMPTS, kind=claim.kind.name, outcome=outcome)
    if claim.kind is EVENTS:
        event_type = claim.fields.get("type", "")
        known = event_type if handler_of(event_type) else OTHER
        tally.count(EVENT_OUTCOMES, type=known, outcome=outcome)


def _age(claim: Claim) -> float:
    since = claim.fields.get("redriven_at", claim.fields["recorded_at"])
    return claim.started_at.timestamp() - int(since) / 1000
