"""The issuer's 3D Secure challenge: its outcomes, and where the browser goes after it.

A person answers it on a page, a program by `POST /_sandbox/payment_intents/{id}/authenticate`. Both
call `answer`.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from sandbox.intents import confirmation
from sandbox.world import errors
from sandbox.world.objects import Json
from sandbox.world.world import Scope, World

COMPLETE: Final = "complete"
FAIL: Final = "fail"
CANCEL: Final = "cancel"


def answer(world: World, intent_id: str, outcome: str) -> Json:
    """Complete, fail or cancel the challenge of an intent; return the intent.

    Raises Stripe's errors: 404 for an unknown intent, 400 if it has no challenge.
    """
    account = world.owner_of("payment_intent", intent_id)
    if account is None:
        raise errors.missing("payment_intent", intent_id, "intent")
    scope = world.scope(account.id)
    intent = scope.get("payment_intent", intent_id)
    if intent["status"] != "requires_action":
        message = f"Nothing to authenticate: this PaymentIntent has a status of {intent['status']}."
        raise errors.impossible(message, "payment_intent_unexpected_state")
    OUTCOMES[outcome](scope, intent)
    world.on_change()
    return intent


def return_address(world: World, intent: Json) -> str | None:
    """Return the address for the browser after the challenge, if there is a return_url."""
    account = world.owner_of("payment_intent", intent["id"])
    return_url = account.note(intent["id"]).get("return_url") if account else None
    if not return_url:
        return None
    succeeded = intent["status"] in ("succeeded", "requires_capture", "requires_confirmation")
    query = urlencode(
        {
            "payment_intent": intent["id"],
            "payment_intent_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if succeeded else "failed",
        }
    )
    return f"{return_url}{'&' if '?' in return_url else '?'}{query}"


OUTCOMES: Final[dict[str, Callable[[Scope, Json], None]]] = {
    COMPLETE: confirmation.authenticated,
    FAIL: confirmation.authentication_failed,
    CANCEL: confirmation.authentication_failed,
}
