"""Check API keys: any well-formed test key is accepted, a live key never."""

import base64
import binascii
import re
from typing import Final

from sandbox.world.errors import StripeError, invalid_key_error

WELL_FORMED: Final = re.compile(r"(sk|rk)_test_[A-Za-z0-9_]{2,}")
LIVE: Final = re.compile(r"(sk|rk|pk)_live_")
REVOKED_PREFIX: Final = "sk_test_revoked"
"""Beginning of keys that are refused as unknown, for tests;"""
EXPIRED_PREFIX: Final = "sk_test_expired"
"""and of those refused as expired."""
SHOWN_HEAD: Final = 8
SHOWN_TAIL: Final = 4

NO_KEY: Final = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, "
    "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
    "https://stripe.com/docs/api#authentication for details, or we can help at "
    "https://support.stripe.com/."
)
LIVE_KEY: Final = (
    "This is the offline Stripe sandbox and that is a live key. Live keys are refused here: "
    "nothing was done with it and it was not stored. Use a test key (sk_test_…), or point the "
    "program at the real Stripe API if you meant real payments."
)


def check(authorization: str | None) -> None:
    """Raise Stripe's 401 unless the header carries an acceptable key."""
    key = key_of(authorization or "")
    if not key:
        raise invalid_key_error(NO_KEY)
    if LIVE.match(key):
        raise invalid_key_error(LIVE_KEY)
    if key.startswith("pk_test_"):
        raise StripeError(
            403,
            {
                "type": "invalid_request_error",
                "code": "secret_key_required",
                "message": "This API call cannot be made with a publishable API key. Please use a "
                "secret API key. You can find a list of your API keys at "
                "https://dashboard.stripe.com/account/apikeys.",
            },
        )
    if key.startswith(EXPIRED_PREFIX):
        raise invalid_key_error(f"Expired API Key provided: {_mask(key)}", "api_key_expired")
    if key.startswith(REVOKED_PREFIX) or not WELL_FORMED.fullmatch(key):
        raise invalid_key_error(f"Invalid API Key provided: {_mask(key)}")


def key_of(authorization: str) -> str:
    """Return the key of an Authorization header, '' if there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _mask(key: str) -> str:
    hidden = max(len(key) - SHOWN_HEAD - SHOWN_TAIL, 0)
    return key[:SHOWN_HEAD] + "*" * hidden + key[-SHOWN_TAIL:]
