"""A limit on requests with a wrong key or signature; valid requests are never limited.

Requests are counted after the check, so that a stranger behind the same proxy cannot lock others
out, and in this process's memory, so that a forged request costs Redis nothing.
"""

from __future__ import annotations

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shared.errors import CallerError


class RefusalLimit:
    """Count refusals by address; answer 429 above the limit."""

    def __init__(self, per_minute: int, detail: str, code: str) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._detail, self._code = detail, code

    def count(self, address: str) -> None:
        """Count one more refusal. Raises `CallerError` 429 above the limit of this minute."""
        if not self._limiter.hit(self._limit, address):
            raise self._refusal(address)

    def _refusal(self, address: str) -> CallerError:
        resets_at = self._limiter.get_window_stats(self._limit, address).reset_time
        return CallerError(
            self._detail,
            status=429,
            code=self._code,
            retry_after_seconds=max(1, resets_at - time.time()),
        )


class BadKeys(RefusalLimit):
    """Limit wrong bearer keys."""

    def __init__(self, per_minute: int) -> None:
        detail = "Too many wrong keys came from this address; try again later."
        super().__init__(per_minute, detail, "too_many_bad_keys")
