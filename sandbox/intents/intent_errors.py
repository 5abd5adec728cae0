"""Say that a payment intent is not in a state for what was asked of it."""

from sandbox.world import errors
from sandbox.world.objects import Json, frozen


def unexpected_state(intent: Json, message: str, param: str | None = None) -> errors.StripeError:
    """Return Stripe's 400 with the whole intent in it."""
    code = "payment_intent_unexpected_state"
    return errors.impossible(message, code, param=param, payment_intent=frozen(intent))
