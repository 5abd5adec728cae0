"""Decide what follows from a failure, by who must act: retry, snooze or dead letter."""

from __future__ import annotations

import random

from shared.errors import BillingError, NotYet, OverBudget, Unavailable
from shared.settings import Settings
from shared.work.items import Claim
from shared.work.results import Dead, Retry, Snooze
from worker.schedule import retry_delay_seconds

# How long an item is snoozed in all. A missing fact arrives within seconds or, if Stripe is slow,
# minutes; after an hour an operator must look.
SNOOZE_LIMIT_SECONDS = 3600.0
# Most attempts after a defect of ours. It seldom disappears by itself, but a deployment in progress
# may be its cause.
DEFECT_ATTEMPTS = 5
# Pause of a duty of upkeep after an outage.
UPKEEP_RETRY_SECONDS = 15.0
# Pause of a duty of upkeep after a refusal (a wrong key) or a defect: a person has to act first.
UPKEEP_REFUSED_SECONDS = 300.0
_dice = random.SystemRandom()


def decide(
    error: Exception, claim: Claim, settings: Settings, max_attempts: int
) -> Retry | Snooze | Dead:
    """Decide what follows from a failed attempt; pure except for the jitter."""
    reason = reason_of(error)
    if isinstance(error, OverBudget):
        return Snooze(error.delay_seconds, reason)
    if not claim.kind.mortal:
        return Snooze(_pause_of_upkeep(error), reason)
    if isinstance(error, NotYet) and claim.age_seconds < SNOOZE_LIMIT_SECONDS:
        return Snooze(error.delay_seconds, reason)
    if claim.attempts >= _budget(error, max_attempts):
        return Dead(reason)
    return Retry(reason, backoff(claim, settings, getattr(error, "retry_after_seconds", None)))


def backoff(claim: Claim, settings: Settings, retry_after_seconds: float | None = None) -> float:
    """Choose the pause before the next attempt, in seconds."""
    return retry_delay_seconds(
        claim.attempts,
        base_seconds=settings.retry_base_seconds,
        cap_seconds=settings.retry_cap_seconds,
        dice=_dice,
        retry_after_seconds=retry_after_seconds,
    )


def reason_of(error: Exception) -> str:
    """Describe an error in one line; any other than a `BillingError` is a defect."""
    if isinstance(error, BillingError):
        return str(error)
    return f"defect: {type(error).__name__}: {error}"


def _budget(error: Exception, max_attempts: int) -> int:
    if isinstance(error, Unavailable):
        return max_attempts
    return 0 if isinstance(error, BillingError) else min(DEFECT_ATTEMPTS, max_attempts)


def _pause_of_upkeep(error: Exception) -> float:
    if isinstance(error, Unavailable):
        return error.retry_after_seconds or UPKEEP_RETRY_SECONDS
    return UPKEEP_REFUSED_SECONDS
