"""The limit of a caller's refunds within an hour, and the refusal of what is above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import CallerError
from shared.keys import Keys

# Time for which an amount counts. The amounts of a minute are one sum with the minute's start, so
# each counts for an hour at least, and up to a minute longer.
COUNTED_MS = 3_600_000 + 60_000


@dataclass(frozen=True)
class Ceiling:
    """An amount to refund, and its caller's limit within an hour; both in the smallest unit."""

    caller: str
    currency: str
    amount: int
    ceiling: int

    @property
    def in_script(self) -> dict[str, int]:
        """Return the part of it that a script reads; the key has the caller and the currency."""
        return {"amount": self.amount, "ceiling": self.ceiling}


def spending_keys(keys: Keys, ceilings: Sequence[Ceiling]) -> list[str]:
    """Return the keys with what the callers have refunded so far, one for each ceiling."""
    return [keys.spending(one.caller, one.currency) for one in ceilings]


def ceiling_reached(ceilings: Sequence[Ceiling], wait_ms: int) -> CallerError:
    """Build the refusal of refunds that are above one of these ceilings: 429.

    `wait_ms` is the time until they may fit. What is larger than a whole hour's limit never fits,
    so its refusal has no Retry-After.
    """
    for one in ceilings:
        if one.amount > one.ceiling:
            return CallerError(
                f"This key may refund {one.ceiling} {one.currency} an hour (smallest unit), and "
                f"this is {one.amount}; refund it in parts, or with another key.",
                status=429,
                code="refund_ceiling_reached",
            )
    return CallerError(
        "This key has reached its limit of refunds for this hour; try again later. "
        "Nothing was refunded.",
        status=429,
        code="refund_ceiling_reached",
        retry_after_seconds=wait_ms / 1000,
    )
