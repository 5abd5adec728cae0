"""Check the secrets that sign notifications (Standard Webhooks)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr


def signing_problems(secrets: Iterable[SecretStr]) -> list[str]:
    """List the problem, in one line, that a secret is not `whsec_<base64>`; empty without one."""
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

    for secret in secrets:
        try:
            Webhook(secret.get_secret_value())
        except (ValueError, RuntimeError, EmptyWebhookSecretError):
            return ["EVENT_SERVICE_SECRET is not valid: each secret is whsec_<base64>"]
    return []
