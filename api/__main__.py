"""`python -m api`: the API behind granian, a production WSGI server."""

from __future__ import annotations

from functools import cache

from flask_openapi3.openapi import OpenAPI
from granian import Granian
from granian.constants import HTTPModes, Interfaces

from api.app import create_app
from api.parts import EXTENSION
from shared.errors import Misconfigured
from shared.refusal import refuse_start
from shared.settings import Settings, load_settings
from shared.store.connection import open_store
from shared.store.durability import ensure_durable
from shared.store.figures import Flusher
from shared.stripe.gateway import API_VERSION
from shared.telemetry.logging import configure_logging, get_logger
from shared.telemetry.tracing import configure_tracing

# Connections the kernel holds for us while every thread is busy.
BACKLOG = 1024
# An API process that is told to stop finishes what it has begun for so long.
GRACE_SECONDS = 20


@cache
def _settings() -> Settings:
    try:
        return load_settings("api")
    except Misconfigured as error:
        refuse_start("The API", error)


def application() -> OpenAPI:
    """Build the application in each serving process."""
    settings = _settings()
    configure_logging(settings, "api")
    configure_tracing(settings, "api")
    app = create_app(settings)
    Flusher(app.extensions[EXTENSION].store).start()
    return app


def _require_durability(settings: Settings) -> None:
    try:
        ensure_durable(open_store(settings, "billing-api"), settings)
    except Misconfigured as error:
        refuse_start("The API", error)


def main() -> None:
    """Serve until SIGTERM; exit with every problem of the settings named."""
    settings = _settings()
    configure_logging(settings, "api")
    log = get_logger(__name__)
    log.info("api_starting", port=settings.port, stripe_api_version=API_VERSION)
    _require_durability(settings)
    if not settings.api_keys:
        log.warning("api_is_open", detail="API_KEYS is not set: anyone who reaches it may pay")
    Granian(
        "api.__main__:application",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,  # HTTP/2 has no deadline for a request that never ends
        websockets=False,
        workers=settings.api_workers,
        blocking_threads=settings.api_threads,
        backlog=BACKLOG,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_SECONDS,
        log_access=False,
        log_dictconfig={"version": 1, "disable_existing_loggers": False, "loggers": {}},
    ).serve()


if __name__ == "__main__":
    main()
