"""Access by bearer keys (several at once for rotation), and the limits of each caller."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from flask import g, request
from pydantic import SecretStr

from api.parts import parts
from shared.bearer_keys import OWN_ACCOUNT, UNNAMED, BearerKey, CallerLimits, bearer_keys
from shared.errors import CallerError, Unavailable

OPEN = "open"
BEARER: list[dict[str, list[Any]]] = [{"bearer": []}]
UNLIMITED = CallerLimits()
# Routes with POST that change nothing.
READING = ("payment.verify", "refund.verify")
# Routes about payments and refunds that exist: where no account is named, theirs is checked.
OF_KNOWN_ACCOUNT = (
    "payment.details",
    "payment.verify",
    "payment.cancel",
    "payments.page",
    "refund.process",
    "refund.details",
    "refund.verify",
)


def require_caller() -> None:
    """Admit a caller of payments and refunds, within its limits.

    `g.caller` is its name, and with it the scope of its idempotency keys: keys are rotated, names
    stay. Raises `CallerError` 401, 403, 429.
    """
    settings = parts().settings
    key = _admit(settings.api_keys, open_allowed=not settings.livemode)
    g.caller = key.owner
    g.limits = settings.caller_limits.get(key.owner, UNLIMITED)
    account = request.headers.get("Stripe-Account")
    if account is not None or request.endpoint not in OF_KNOWN_ACCOUNT:
        require_account(account)
    changes = request.method not in ("GET", "HEAD") and request.endpoint not in READING
    if g.limits.read_only and changes:
        raise CallerError(
            "This key may only read payments and refunds.", status=403, code="read_only_caller"
        )


def require_caller_or_operator() -> None:
    """Admit a caller within its limits, or an operator without limits, and set `g.is_operator`.

    When no key is set at all, every caller is also an operator. Raises `CallerError` 401, 403, 429.
    """
    settings = parts().settings
    if _shows_one_of(settings.operator_keys):
        require_operator()
        g.is_operator = True
        return
    require_caller()
    g.is_operator = g.caller == OPEN and not settings.operator_keys


def _shows_one_of(entries: Iterable[SecretStr]) -> bool:
    """Say whether the request carries one of these keys."""
    _, secret = _authorization()
    matches = [
        hmac.compare_digest(key.secret.encode(), secret.encode()) for key in bearer_keys(entries)
    ]
    return any(matches)


def _authorization() -> tuple[str, str]:
    """Return the scheme, in lower case, and the key of the request; '' for what is not there."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower(), secret.lstrip(" ")


def require_account(account: str | None) -> None:
    """Refuse a request for an account that this caller may not act for (None: our own).

    Raises `CallerError` 403.
    """
    accounts = g.limits.accounts
    if accounts is not None and (account or OWN_ACCOUNT) not in accounts:
        raise CallerError(
            "This key may not act for this account; name an allowed account in Stripe-Account.",
            status=403,
            code="account_not_allowed",
        )


def account_of(payment_id: str, account_header: str | None) -> str | None:
    """Return the connected account of a payment: the one that the caller names, or the stored one.

    Raises `CallerError` 403 when this caller may not act for it.
    """
    account = account_header
    if account is None:
        # Without Redis it is not known: then Stripe is asked for our own account's.
        with suppress(Unavailable):
            account = parts().payments.account_of(payment_id)
    require_account(account)
    return account


def require_operator() -> None:
    """Admit an operator; refuse everybody when no operator key is set and the key is live.

    For the audit log `g.caller` is a fingerprint of the key, and `g.operator` its name or empty.
    """
    settings = parts().settings
    open_allowed = not settings.livemode and not settings.api_keys
    key = _admit(settings.operator_keys, open_allowed=open_allowed)
    g.limits = UNLIMITED
    g.operator = "" if key.owner in (OPEN, UNNAMED) else key.owner
    g.caller = hashlib.sha256(key.secret.encode()).hexdigest()[:16] if key.secret else OPEN


def _admit(entries: Iterable[SecretStr], *, open_allowed: bool) -> BearerKey:
    keys = list(bearer_keys(entries))
    if not keys:
        if open_allowed:
            return BearerKey(OPEN, "")
        variable = "OPERATOR_KEYS" if request.path.startswith(("/ops", "/metrics")) else "API_KEYS"
        raise CallerError(f"Set {variable} to use this route.", status=403, code="forbidden")
    scheme, secret = _authorization()
    if scheme != "bearer" or not secret:
        raise CallerError("Send Authorization: Bearer <key>.", status=401, code="unauthorized")
    # Every key is compared, so that the duration reveals nothing.
    matches = [key for key in keys if hmac.compare_digest(key.secret.encode(), secret.encode())]
    if not matches:
        parts().bad_keys.count(request.remote_addr or "unknown")
        raise CallerError("This key is not valid for this route.", status=401, code="unauthorized")
    return matches[0]
