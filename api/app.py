"""The application: `create_app(settings)` registers the routes and builds the parts."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Response
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import ValidationError

from api import cancellation, hosts, ops_settings, problems, request_context  # noqa: F401  # routes
from api import metrics as metrics_page
from api.bodies import StrictJson
from api.console import console
from api.health import health
from api.openapi import contract
from api.ops import ops
from api.ops_lists import lists
from api.parts import EXTENSION, Parts
from api.payment import payments
from api.payment_list import payment_list
from api.refund import refunds
from api.refund_batches import batches
from api.routing import IdConverter
from api.schemas import schemas
from api.webhook_contract import webhooks
from shared.settings import Settings
from shared.store.connection import open_store
from shared.store.scripts import Store
from shared.version import VERSION

SECURITY_SCHEMES: Any = {"bearer": {"type": "http", "scheme": "bearer"}}


def create_app(settings: Settings, store: Store | None = None) -> OpenAPI:
    """Build the WSGI application; connects to nothing until the first request."""
    app = OpenAPI(
        __name__,
        info=Info(title="Billing service", version=VERSION),
        security_schemes=SECURITY_SCHEMES,
        validation_error_model=problems.Problem,
        validation_error_callback=_invalid,
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.converters["id"] = IdConverter
    app.url_map.merge_slashes = False  # a path with two slashes is not found, instead of redirected
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.json = StrictJson(app)
    app.json.sort_keys = False
    store = store or open_store(settings, "billing-api")
    app.extensions[EXTENSION] = Parts.build(settings, store)
    problems.install(app)
    request_context.install(app)
    hosts.install(app, settings)
    metrics_page.install(app)
    for blueprint in (
        health,
        payments,
        payment_list,
        refunds,
        batches,
        webhooks,
        schemas,
        ops,
        lists,
        metrics_page.metrics,
    ):
        app.register_api(blueprint)
    app.register_blueprint(console)
    document = cache(lambda: app.json.dumps(contract(app)))  # takes a tenth of a second
    kind = request_context.JSON
    app.add_url_rule("/openapi.json", "openapi", lambda: Response(document(), mimetype=kind))
    return app


def _invalid(error: ValidationError) -> Response:
    return problems.from_validation(error)
