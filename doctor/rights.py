"""Check each right of a restricted key by one call that has no effect.

Stripe refuses a call that the key may not make with 403 before it reads the parameters. So a call
that could write omits a required parameter, or names an object that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.errors import CallerError, Misconfigured
from shared.settings import Settings
from shared.store.durability import Finding
from shared.stripe.gateway import StripeGateway
from shared.stripe.translation import permission_missing

Json = dict[str, Any]
NO_OBJECT = "billing_doctor"


@dataclass(frozen=True)
class Right:
    """A permission as Stripe's dashboard names it, a call that needs it, and its purpose."""

    name: str
    method: str
    path: str
    needed_for: str
    parameters: Json = field(default_factory=dict)
    required: bool = True


RIGHTS = (
    Right("PaymentIntents: write", "post", "/v1/payment_intents", "payments"),
    Right(
        "Charges and Refunds: write",
        "post",
        "/v1/refunds",
        "refunds",
        {"payment_intent": f"pi_{NO_OBJECT}"},
    ),
    Right("Charges and Refunds: read", "get", "/v1/charges", "look-ups", {"limit": 1}),
    Right("Events: read", "get", "/v1/events", "reconcile", {"limit": 1}),
    Right("Disputes: read", "get", "/v1/disputes", "disputes in a payment", {"limit": 1}, False),
    Right(
        "Balance transaction sources: read",
        "get",
        "/v1/balance_transactions",
        "fees and net amounts",
        {"limit": 1},
        False,
    ),
    Right("Balance: read", "get", "/v1/balance", "batches of refunds", required=False),
    Right(
        "Checkout Sessions: read",
        "get",
        "/v1/checkout/sessions",
        "thin events of Checkout",
        {"limit": 1},
        False,
    ),
    Right(
        "Webhook Endpoints: read",
        "get",
        "/v1/webhook_endpoints",
        "the check of the endpoint",
        {"limit": 1},
        False,
    ),
)


def examine_key(settings: Settings, gateway: StripeGateway) -> Iterator[Finding]:
    """Examine the rights of the Stripe key. Raises `Unavailable` when Stripe does not answer."""
    key = settings.stripe_secret_key.get_secret_value()
    if key.startswith("sk_live_"):
        yield Finding(
            "warning",
            "stripe",
            "the Stripe key is a secret key, which has every right on the account",
            "Make a restricted key with the rights that docs/going-live.md lists.",
        )
    if not key.startswith("rk_"):
        return
    missing = [right for right in RIGHTS if _is_missing(gateway, right)]
    for right in missing:
        level: Any = "error" if right.required else "warning"
        what = f"the restricted key lacks the right {right.name}, which {right.needed_for} need"
        fix = "Give the key this right in Stripe's dashboard; docs/going-live.md lists all rights."
        yield Finding(level, "stripe", what, fix)
    if not missing:
        yield Finding("ok", "stripe", "the restricted key has every right that this service needs")


def _is_missing(gateway: StripeGateway, right: Right) -> bool:
    try:
        gateway.try_call(right.method, right.path, **right.parameters)
    except (CallerError, Misconfigured) as error:
        return permission_missing(error)
    return False
