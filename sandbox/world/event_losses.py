"""Lose events before they are created, as Stripe does in very rare cases.

A lost event is in no list and is never delivered. Later a health event names its object
(https://docs.stripe.com/webhooks/handle-irrecoverable-events).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.world.errors import invalid

TOLD_AFTER_SECONDS: Final = 2.0
"""Seconds until the health event; at Stripe minutes or hours."""


@dataclass
class EventLoss:
    """Which events are lost: their types, how many, and the delay of the health event."""

    types: Sequence[str] = ()
    count: int = 1
    delay_seconds: float = TOLD_AFTER_SECONDS

    def __post_init__(self) -> None:
        sensible = isinstance(self.types, list) and self.types and type(self.count) is int
        if not sensible or not isinstance(self.delay_seconds, int | float):
            message = "Give types as a list of event types, count and delay_seconds as numbers."
            raise invalid(message, "types")

    def applies_to(self, event_type: str) -> bool:
        """Say whether this event is lost, and count it if so."""
        if self.count < 1 or event_type not in self.types:
            return False
        self.count -= 1
        return True
