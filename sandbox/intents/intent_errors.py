"""The error for a payment intent whose state does not allow the request."""

from sandbox.world import errors
from sandbox.world.objects import Json, copy_of


def unexpected_state(intent: Json, message: str, param: str | None = None) -> errors.StripeError:
    """Return Stripe's 400, which contains the whole intent."""
    code = "payment_intent_unexpected_state"
    return errors.impossible(message, code, param=param, payment_intent=copy_of(intent))
