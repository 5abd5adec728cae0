"""Who may come in: bearer keys, compared in constant time, several at once for rotation."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from flask import g, request
from pydantic import SecretStr

from api.parts import parts
from shared.errors import CallerError

OPEN = "open"
BEARER: list[dict[str, list[Any]]] = [{"bearer": []}]


def require_caller() -> None:
    """Admit a caller of payments and refunds; remember who it is for idempotency's scope."""
    settings = parts().settings
    g.caller = _admit(settings.api_keys, open_allowed=not settings.livemode)


def require_operator() -> None:
    """Admit an operator; closed when no operator key is set and real money is at stake."""
    settings = parts().settings
    open_allowed = not settings.livemode and not settings.api_keys
    g.caller = _admit(settings.operator_keys, open_allowed=open_allowed)


def _admit(keys: Sequence[SecretStr], *, open_allowed: bool) -> str:
    if not keys:
        if open_allowed:
            return OPEN
        raise CallerError("No key that opens this is configured.", status=403, code="forbidden")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise CallerError("Send Authorization: Bearer <key>.", status=401, code="unauthorized")
    # Every key is compared, so that the time taken tells nothing.
    matches = [hmac.compare_digest(key.get_secret_value().encode(), given.encode()) for key in keys]
    if not any(matches):
        raise CallerError("This key is not known here.", status=401, code="unauthorized")
    return hashlib.sha256(given.encode()).hexdigest()[:16]
