"""How Redis refuses or fails, as the errors of this service."""

from __future__ import annotations

from collections.abc import Mapping

from redis.exceptions import AuthenticationError as Login
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from shared.errors import Unavailable

RETRY_AFTER_SECONDS = 5
# Redis says in a sentence what it refuses; a script's error has its whole trace.
LONGEST_REFUSAL = 160
REFUSALS: Mapping[type[Exception], str] = {
    NoPermissionError: "NOPERM",
    Login: "WRONGPASS",
    ReadOnlyError: "READONLY",
    BusyLoadingError: "LOADING",
    OutOfMemoryError: "OOM",
}


def unanswered(error: Exception | None = None) -> Unavailable:
    """Build the error for a Redis that did not answer, or that refused, with its own reason."""
    refusal = refusal_of(error)
    return Unavailable(
        f"Redis is unavailable ({refusal}); try again."
        if refusal
        else "Redis is unavailable; try again.",
        code="store_unavailable",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        outcome_known=False,
    )


def refusal_of(error: BaseException | None) -> str:
    """Return Redis's refusal in one line (`NOPERM …`, `LOADING …`); empty for an outage.

    redis-py cuts off the code of an error that has a class of its own.
    """
    if not isinstance(error, (ResponseError, Login, BusyLoadingError)):
        return ""
    text = " ".join(str(error).split())[:LONGEST_REFUSAL]
    for kind, code in REFUSALS.items():
        if isinstance(error, kind) and not text.startswith((code, "NOAUTH")):
            return f"{code} {text}"
    return text


def not_replicated() -> Unavailable:
    """Build the error for a write that too few replicas have confirmed."""
    return Unavailable(
        "Redis has not replicated this in time; try again.",
        code="store_not_replicated",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        outcome_known=False,
    )
