"""Check the secrets that sign webhooks (Stripe's) and notifications (Standard Webhooks)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import SecretStr

# Two in one are two with a wrong separator. An empty secret would sign for anybody.
WEBHOOK_SECRET = re.compile(r"whsec_(?!.*whsec_)[!-~]+")


def webhook_problems(secrets: Iterable[SecretStr]) -> list[str]:
    """List the problem, in one line, that a secret is not `whsec_…`; empty without one."""
    if all(WEBHOOK_SECRET.fullmatch(secret.get_secret_value()) for secret in secrets):
        return []
    problem = "each secret starts with whsec_, and several are separated by commas"
    return [f"STRIPE_WEBHOOK_SECRET is not valid: {problem}"]


def signing_problems(secrets: Iterable[SecretStr]) -> list[str]:
    """List the problem, in one line, that a secret is not `whsec_<base64>`; empty without one."""
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

    for secret in secrets:
        try:
            Webhook(secret.get_secret_value())
        except (ValueError, RuntimeError, EmptyWebhookSecretError):
            return ["EVENT_SERVICE_SECRET is not valid: each secret is whsec_<base64>"]
    return []
