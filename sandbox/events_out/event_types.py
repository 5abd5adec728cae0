"""Know event type names, so that a misspelt subscription is refused and not silently deaf."""

import re
from typing import Final

from sandbox.world import errors

SIMULATED: Final = frozenset(
    """
    charge.captured charge.dispute.closed charge.dispute.created charge.dispute.funds_reinstated
    charge.dispute.funds_withdrawn charge.dispute.updated charge.expired charge.failed
    charge.pending charge.refund.updated charge.refunded charge.succeeded charge.updated
    checkout.session.async_payment_failed checkout.session.async_payment_succeeded
    checkout.session.completed checkout.session.expired
    payment_intent.amount_capturable_updated payment_intent.canceled payment_intent.created
    payment_intent.partially_funded payment_intent.payment_failed payment_intent.processing
    payment_intent.requires_action payment_intent.succeeded
    refund.created refund.failed refund.updated
    review.closed review.opened
    radar.early_fraud_warning.created radar.early_fraud_warning.updated
    """.split()
)
SIMULATED_FAMILIES: Final = frozenset(name.split(".")[0] for name in SIMULATED)
WELL_FORMED: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


def check_event_type(value: object, name: str) -> str:
    """Accept "*", the simulated types, and well-formed types of families not simulated here."""
    text = str(value)
    foreign = text.split(".", maxsplit=1)[0] not in SIMULATED_FAMILIES and WELL_FORMED.fullmatch(
        text
    )
    if text == "*" or text in SIMULATED or foreign:
        return text
    raise errors.invalid(f"Invalid {name}: {text} is not an event type.", name)


def check_thin_type(value: object, name: str) -> str:
    """Accept what `check_event_type` does, with or without the `v1.` of thin types."""
    check_event_type(str(value).removeprefix("v1."), name)
    return str(value)
