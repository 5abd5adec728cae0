"""The handlers of event types: one function for each type, registered by decorator."""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import Inconsistent
from shared.facts import Fact
from shared.stripe.event import THIN_PREFIX, Event
from shared.stripe.gateway import StripeGateway
from worker.lost_events import GENERATION_FAILURE

Handler = Callable[[Event, StripeGateway], list[Fact]]
# The handler of each type, filled by `handles`.
HANDLERS: dict[str, Handler] = {}


def handles(*types: str) -> Callable[[Handler], Handler]:
    """Register the handler of one or more event types. Raises `Inconsistent` for a second one.

    A handler returns the facts that its event establishes. It may read objects at Stripe; it writes
    nothing, so it can run any number of times.
    """

    def register(handler: Handler) -> Handler:
        for event_type in types:
            if event_type in HANDLERS:
                raise Inconsistent(f"{event_type} already has a handler")
            HANDLERS[event_type] = handler
        return handler

    return register


def handled_types() -> list[str]:
    """List the types to subscribe a webhook endpoint to, sorted."""
    return sorted(HANDLERS)


def thin_types() -> list[str]:
    """List the types for a destination of thin events: ours, and Stripe's of a missing event."""
    return [*(THIN_PREFIX + event_type for event_type in handled_types()), GENERATION_FAILURE]
