"""Limit the rate of calls as Stripe does: per endpoint and per account, within any second.

The limits are off by default. Refused calls do not count: a client that slows down to the limit
succeeds (https://docs.stripe.com/rate-limits).
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from sandbox.world.errors import StripeError, invalid
from sandbox.world.objects import Json

PER_ENDPOINT: Final = 25
"""Calls per second to one endpoint, Stripe's default."""
PER_ACCOUNT: Final = 100
"""Calls per second of one account, Stripe's default in live mode."""
WINDOW_SECONDS: Final = 1.0
OFF: Final = "off"
AS_STRIPE: Final = "stripe"
ENDPOINT_RATE: Final = "endpoint-rate"
ACCOUNT_RATE: Final = "global-rate"


@dataclass(frozen=True)
class Limits:
    """The number of calls allowed per second; None: no limit."""

    per_endpoint: int | None = None
    per_account: int | None = None


def from_setting(text: str) -> Limits:
    """Read `off`, `stripe` (25 and 100) or two numbers such as `25,100`; raises ValueError."""
    if text in ("", OFF):
        return Limits()
    if text == AS_STRIPE:
        return Limits(PER_ENDPOINT, PER_ACCOUNT)
    per_endpoint, per_account = (int(number) for number in text.split(","))
    return Limits(per_endpoint, per_account)


class RateLimits:
    """Counts the calls of the last second, in real time, because clients wait in real time."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._calls: dict[tuple[str, ...], deque[float]] = {}
        self.limits = Limits()
        self.refused = {ENDPOINT_RATE: 0, ACCOUNT_RATE: 0}
        """How many calls each limit refused."""

    def limit(self, limits: Limits) -> None:
        """Set the limits and reset the counts."""
        self.limits = limits
        self._calls.clear()
        self.refused = dict.fromkeys(self.refused, 0)

    def take(self, account: str, endpoint: str) -> str | None:
        """Count a call and return None, or return the reason why it is refused."""
        now = self._monotonic()
        places = (
            (ACCOUNT_RATE, (account,), self.limits.per_account),
            (ENDPOINT_RATE, (account, endpoint), self.limits.per_endpoint),
        )
        for reason, place, limit in places:
            if limit is not None and len(self._recent(place, now)) >= limit:
                self.refused[reason] += 1
                return reason
        for _, place, limit in places:
            if limit is not None:
                self._recent(place, now).append(now)
        return None

    def _recent(self, place: tuple[str, ...], now: float) -> deque[float]:
        calls = self._calls.setdefault(place, deque())
        while calls and calls[0] <= now - WINDOW_SECONDS:
            calls.popleft()
        return calls

    def as_json(self) -> Json:
        """Return the limits and the number of refused calls, as JSON."""
        return {**asdict(self.limits), "refused": dict(self.refused)}


def parse(body: Json) -> Limits:
    """Read the limits of a control call, by default Stripe's. Raises 400."""
    defaults: Json = {"per_endpoint": PER_ENDPOINT, "per_account": PER_ACCOUNT}
    for name, value in body.items():
        sensible = value is None or (type(value) is int and value > 0)
        if name not in defaults or not sensible:
            message = "Give per_endpoint and per_account as whole numbers above 0, or null."
            raise invalid(message, name)
    return Limits(**(defaults | body))


def rate_limit_error() -> StripeError:
    """Return Stripe's 429, which is not stored for an idempotency key."""
    message = (
        "Request rate limit exceeded. Learn more about rate limits: "
        "https://stripe.com/docs/rate-limits."
    )
    error = {"type": "invalid_request_error", "code": "rate_limit", "message": message}
    return StripeError(429, error)
