"""Stripe's rate limits: what a call takes its share from, and what an answer says about them.

Source: https://docs.stripe.com/rate-limits, and the SDK for `Stripe-Should-Retry`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

REASON = "Stripe-Rate-Limited-Reason"
SHOULD_RETRY = "Stripe-Should-Retry"
# A 429 that says nothing of our rate: another call holds the object, or too many ask for just it.
LOCKED = "lock_timeout"
OF_ONE_OBJECT = "resource-specific"
# The bucket of all calls of an account; each endpoint has one of its own, named by its operation.
ACCOUNT = "account"


class CallBudget(Protocol):
    """What every call to Stripe takes its share from (`shared/work/stripe_budget.py`)."""

    def draw(self, account: str | None, endpoint: str) -> None:
        """Take one call's share. May raise `OverBudget`."""

    def lower(self, account: str | None, buckets: Sequence[str]) -> None:
        """Take less for a while: these buckets' limits were met."""


def limited(
    endpoint: str, status: int | None, code: str | None, headers: Mapping[str, str] | None
) -> list[str]:
    """List the buckets whose limit a refusal says was met; both where it does not say which.

    Stripe's reasons are `global-…` and `endpoint-…`, of the rate or of the calls at a time.
    """
    reason = _header(headers, REASON)
    if status != HTTPStatus.TOO_MANY_REQUESTS or reason == OF_ONE_OBJECT or code == LOCKED:
        return []
    if reason.startswith("global"):
        return [ACCOUNT]
    return [endpoint] if reason.startswith("endpoint") else [ACCOUNT, endpoint]


def should_retry(headers: Mapping[str, str] | None) -> bool | None:
    """Read Stripe's own word on whether another try is of use; None where it says nothing."""
    return {"true": True, "false": False}.get(_header(headers, SHOULD_RETRY))


def _header(headers: Mapping[str, str] | None, name: str) -> str:
    given = {key.lower(): value for key, value in (headers or {}).items()}
    return given.get(name.lower(), "")
