"""Allow a payment method without a customer to pay only once.

A use counts whether it was paid or declined, and a detached method counts as used. Ready-made
`pm_card_…` ids create a new payment method each time, so this rule never applies to them.
"""

from sandbox.world.errors import StripeError, impossible, invalid
from sandbox.world.objects import Json
from sandbox.world.world import Scope

DETACHED = "detached"


def spend(scope: Scope, intent: Json, method: Json) -> None:
    """Record that an intent uses the method."""
    if method["customer"] is None:
        scope.note(method["id"]).setdefault("used_by", intent["id"])


def retire(scope: Scope, method: Json) -> None:
    """Record that the method was detached from its customer: nobody can use it again."""
    scope.note(method["id"])["used_by"] = DETACHED


def check_payable(scope: Scope, intent: Json, method: Json) -> None:
    """Raise Stripe's 400 if the method was used, except by the intent that still has it."""
    used_by = scope.note(method["id"]).get("used_by")
    held = used_by == intent["id"] and intent["payment_method"] == method["id"]
    if method["customer"] is None and used_by is not None and not held:
        raise invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
            "attachment, shared with a connected account without Customer attachment, or was "
            "detached from a Customer. It may not be used again. To use a PaymentMethod multiple "
            "times, you must attach it to a Customer first."
        )


def attach_refusal(scope: Scope, method: Json) -> StripeError | None:
    """Return Stripe's 400 for attaching a used method, or None."""
    if scope.note(method["id"]).get("used_by") is None:
        return None
    return impossible(
        "This PaymentMethod was previously used without being attached to a Customer or was "
        "detached from a Customer, and may not be used again."
    )
