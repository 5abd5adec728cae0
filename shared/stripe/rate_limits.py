"""Stripe's rate limits: the budget that calls draw on, and the limits named in an answer.

Source: https://docs.stripe.com/rate-limits, and the SDK for `Stripe-Should-Retry`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

REASON = "Stripe-Rate-Limited-Reason"
SHOULD_RETRY = "Stripe-Should-Retry"
# Reasons of a 429 that does not concern our rate: another call locks the object.
LOCKED = "lock_timeout"
OF_ONE_OBJECT = "resource-specific"
# The bucket of all calls of an account; each endpoint has one of its own, named by its operation.
ACCOUNT = "account"


class CallBudget(Protocol):
    """The budget that every call to Stripe draws on (`shared/work/stripe_budget.py`)."""

    def draw(self, account: str | None, endpoint: str) -> None:
        """Draw one call. May raise `OverBudget`."""

    def lower(self, account: str | None, buckets: Sequence[str]) -> None:
        """Lower the rates of these buckets for a while, because Stripe limited them."""


def limited(
    endpoint: str, status: int | None, code: str | None, headers: Mapping[str, str] | None
) -> list[str]:
    """List the buckets whose limit a refusal names; both when it names none.

    Stripe's reasons are `global-…` and `endpoint-…`, of the rate or of the calls at a time.
    """
    reason = _header(headers, REASON)
    if status != HTTPStatus.TOO_MANY_REQUESTS or reason == OF_ONE_OBJECT or code == LOCKED:
        return []
    if reason.startswith("global"):
        return [ACCOUNT]
    return [endpoint] if reason.startswith("endpoint") else [ACCOUNT, endpoint]


def should_retry(headers: Mapping[str, str] | None) -> bool | None:
    """Read from Stripe's answer whether another try can help; None when it does not say."""
    return {"true": True, "false": False}.get(_header(headers, SHOULD_RETRY))


def _header(headers: Mapping[str, str] | None, name: str) -> str:
    by_name = {key.lower(): value for key, value in (headers or {}).items()}
    return by_name.get(name.lower(), "")
