"""The payer's `next_action`: the issuer's challenge, on a page of the sandbox."""

from urllib.parse import urlencode

from sandbox.world import ids
from sandbox.world.objects import Json
from sandbox.world.world import Scope


def challenge_url(scope: Scope, intent: Json) -> str:
    """Return the address of the challenge page of an intent."""
    query = urlencode({"client_secret": intent["client_secret"]})
    return f"{scope.world.base_url}/_sandbox/3ds/{intent['id']}?{query}"


def for_challenge(scope: Scope, intent: Json) -> Json:
    """Return the `next_action`: a redirect if there is a return_url, else Stripe's script."""
    page = challenge_url(scope, intent)
    note = scope.note(intent["id"])
    return_url = note.get("return_url")
    if return_url and not note.get("use_stripe_sdk"):
        redirect = {"return_url": return_url, "url": page}
        return {"type": "redirect_to_url", "redirect_to_url": redirect}
    script = {
        "source": "src_1" + ids.random_text(ids.RANDOM_LENGTH),
        "stripe_js": page,
        "type": "three_d_secure_redirect",
    }
    return {"type": "use_stripe_sdk", "use_stripe_sdk": script}
