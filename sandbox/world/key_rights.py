"""Rights of restricted keys: a key with a list of rights may call only what they permit.

A key without a list may call everything. The names follow those in Stripe's own refusals
(`rak_payment_intent_write`); Stripe publishes no list of them, so they may differ in detail.
"""

from collections.abc import Sequence
from typing import Final

from sandbox.world.errors import StripeError, invalid
from sandbox.world.objects import Json

READ: Final = "read"
WRITE: Final = "write"
SUBJECTS: Final = {
    "/v1/payment_intents": "payment_intent",
    "/v1/payment_methods": "payment_method",
    "/v1/refunds": "charge",
    "/v1/charges": "charge",
    "/v1/customers": "customer",
    "/v1/disputes": "dispute",
    "/v1/events": "event",
    "/v2/core/events": "event",
    "/v1/balance_transactions": "balance_transaction_source",
    "/v1/balance": "balance",
    "/v1/checkout/sessions": "checkout_session",
    "/v1/webhook_endpoints": "webhook",
    "/v2/core/event_destinations": "event_destination",
}
"""The subject of the right that a path needs; other paths need none."""
EXPANDED: Final = {"balance_transaction": "balance_transaction_source"}
"""The subject of the right that an expanded field needs."""
NAMES: Final = frozenset(
    f"rak_{subject}_{level}" for subject in SUBJECTS.values() for level in (READ, WRITE)
)


class KeyRights:
    """The rights of each key that has a list of them."""

    def __init__(self) -> None:
        self.of: dict[str, frozenset[str]] = {}

    def check(self, key: str, account: str, method: str, path: str, expand: Sequence[str]) -> None:
        """Raise Stripe's 403 unless the key may make this call."""
        rights = self.of.get(key)
        if rights is None:
            return
        for right in _needed(method, path, expand):
            if right not in rights and right.replace(READ, WRITE) not in rights:
                raise _refusal(key, account, right)

    def as_json(self) -> Json:
        """Return the lists as JSON."""
        return {"keys": {key: sorted(rights) for key, rights in self.of.items()}}


def parse(body: Json) -> tuple[str, frozenset[str]]:
    """Read a key and its rights from a control call. Raises 400."""
    key, rights = body.get("api_key"), body.get("rights")
    if not isinstance(key, str) or not key.startswith("rk_test_"):
        raise invalid("api_key must be a restricted test key (rk_test_…)", "api_key")
    if not isinstance(rights, list) or not set(rights) <= NAMES:
        raise invalid(f"rights must be a list of {', '.join(sorted(NAMES))}", "rights")
    return key, frozenset(rights)


def _needed(method: str, path: str, expand: Sequence[str]) -> list[str]:
    level = READ if method == "GET" else WRITE
    own = [
        f"rak_{subject}_{level}"
        for prefix, subject in SUBJECTS.items()
        if path == prefix or path.startswith(prefix + "/")
    ]
    fields = {name for place in expand for name in place.split(".")}
    return own + [f"rak_{EXPANDED[name]}_{READ}" for name in fields if name in EXPANDED]


def _refusal(key: str, account: str, right: str) -> StripeError:
    message = (
        f"The provided key '{key[:8]}{'*' * 8}{key[-4:]}' does not have the required permissions "
        f"for this endpoint on account '{account}'. Having the '{right}' permission would allow "
        "this request to continue."
    )
    return StripeError(403, {"type": "invalid_request_error", "message": message})
