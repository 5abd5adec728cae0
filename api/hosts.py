"""Refuse requests that call the service by a foreign name: see `shared.hosts`."""

from __future__ import annotations

from flask import Flask, request

from shared.errors import CallerError
from shared.hosts import is_known_host, own_names
from shared.settings import Settings

# Platforms probe these at any address, and they reveal no data.
OPEN_PATHS = ("/health", "/health/ready")


def install(app: Flask, settings: Settings) -> None:
    """Refuse a foreign `Host` on every route but health."""
    names = own_names(settings.host, settings.allowed_hosts)

    def require_known_host() -> None:
        if request.path in OPEN_PATHS or is_known_host(request.host, names):
            return
        raise CallerError(
            "The service does not answer to this Host; add the name to ALLOWED_HOSTS.",
            status=421,
            code="host_not_allowed",
        )

    app.before_request(require_known_host)
