"""`python -m api`: the HTTP API, in as many processes as `API_WORKERS` says."""

from __future__ import annotations

from functools import cache, partial

from shared.lasting_imports import lasting_imports

with lasting_imports():
    from flask_openapi3.openapi import OpenAPI

    from api.app import create_app
    from api.parts import EXTENSION
    from api.serving import Arbiter, raise_file_limit
    from shared.errors import Misconfigured
    from shared.opening import begin, ensure_usable
    from shared.refusal import refuse_start
    from shared.settings import Settings, load_settings
    from shared.stopping import ignore_stops
    from shared.store.connection import open_store
    from shared.store.identity import Identity
    from shared.stripe.gateway import API_VERSION
    from shared.telemetry.logging import configure_logging, get_logger
    from shared.telemetry.tracing import configure_tracing

# Open files of a process besides its clients' connections: Redis, Stripe, logs, code.
OWN_FILES = 256


@cache
def _settings() -> Settings:
    try:
        return load_settings("api")
    except Misconfigured as error:
        refuse_start("The API", error)


def application(ours: Identity) -> OpenAPI:
    """Build the application in each serving process; `ours` was compared at the start."""
    settings = _settings()
    configure_logging(settings, "api")
    configure_tracing(settings, "api")
    app = create_app(settings)
    begin(app.extensions[EXTENSION].store, settings, ours)
    return app


def _require_usable_store(settings: Settings) -> Identity:
    try:
        return ensure_usable(open_store(settings, "billing-api"), settings)
    except Misconfigured as error:
        refuse_start("The API", error)


def main() -> None:
    """Serve until SIGTERM; exit with a message that names every problem of the settings."""
    settings = _settings()
    configure_logging(settings, "api")
    log = get_logger(__name__)
    log.info("api_starting", port=settings.port, stripe_api_version=API_VERSION)
    ours = _require_usable_store(settings)
    if not settings.api_keys:
        log.warning("api_is_open", detail="API_KEYS is not set: anyone who reaches the API can pay")
    if raise_file_limit() - OWN_FILES < settings.max_connections:
        log.warning("few_open_files", detail="The limit of open files is below MAX_CONNECTIONS")
    try:
        Arbiter(settings, partial(application, ours)).run()
    finally:  # in each process
        ignore_stops()


if __name__ == "__main__":
    main()
