"""A limit on webhooks whose signature does not hold; one that holds is never limited.

Counted after the check, so that a forger behind the same proxy as Stripe cannot keep Stripe out. In
this process's memory, so that a forged request leaves no trace in the store.
"""

from __future__ import annotations

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shared.errors import CallerError


class BadSignatures:
    """Count refusals by address; answer 429 instead of 400 above the limit."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def count(self, address: str) -> None:
        """Count one more. Raises `CallerError` 429 when there were too many this minute."""
        if self._limiter.hit(self._limit, address):
            return
        resets_at = self._limiter.get_window_stats(self._limit, address).reset_time
        raise CallerError(
            "Too many badly signed requests from this address.",
            status=429,
            code="too_many_bad_signatures",
            retry_after_seconds=max(1, resets_at - time.time()),
        )
