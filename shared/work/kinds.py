"""The kinds of work: events, refund jobs, notifications and the duties of upkeep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from shared.settings import CONNECT_TIMEOUT_SECONDS, Settings
from shared.work.doorbell import template
from shared.work.stripe_budget import PATIENCE_SECONDS

# Seconds of an attempt besides its calls: for Redis, and for a busy machine.
LEASE_MARGIN_SECONDS = 5.0


@dataclass(frozen=True)
class Kind:
    """One kind of work: its queue, its Celery task and the calls its longest attempt makes.

    A kind that is not `mortal` is never given up: upkeep is retried without a limit.
    """

    name: str
    item: str
    task: str
    stripe_calls: int = 0
    deliveries: int = 0
    upkeep_seconds: float = 0.0
    mortal: bool = True

    def lease_ms(self, settings: Settings) -> int:
        """Return the length of a claim's lease: longer than the longest attempt of the settings.

        With a shorter lease a second worker would begin while the first still waits for an answer;
        with a much longer one the items of a killed worker would wait without need.
        """
        return round((self.longest_seconds(settings) + LEASE_MARGIN_SECONDS) * 1000)

    def longest_seconds(self, settings: Settings) -> float:
        """Return the total deadline of an attempt: the time of its calls, well inside its lease."""
        call = PATIENCE_SECONDS + CONNECT_TIMEOUT_SECONDS + settings.stripe_timeout_seconds
        delivery = CONNECT_TIMEOUT_SECONDS + settings.event_service_timeout_seconds
        return self.stripe_calls * call + self.deliveries * delivery + self.upkeep_seconds

    @cached_property
    def message(self) -> str:
        """Return the doorbell's template."""
        return template(self.task, self.name)


# An event may need its object, its charge, its refunds (or fee) and its payment from Stripe; upkeep
# pages through lists. A refund that is refused needs its payment, too.
EVENTS = Kind("events", "event", "billing.process_event", stripe_calls=4)
REFUNDS = Kind("refunds", "refund", "billing.run_refund", stripe_calls=2)
NOTIFICATIONS = Kind("notifications", "notification", "billing.deliver", deliveries=1)
UPKEEP = Kind(
    "upkeep", "upkeep", "billing.upkeep", stripe_calls=1, upkeep_seconds=20.0, mortal=False
)
KINDS = {kind.name: kind for kind in (EVENTS, REFUNDS, NOTIFICATIONS, UPKEEP)}
