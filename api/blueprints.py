"""Blueprints of resources behind a key: access, refusals and their documentation."""

from __future__ import annotations

from collections.abc import Callable

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.access import BEARER, require_caller, require_operator
from api.bodies import require_clean_json
from api.openapi import operation_name
from api.problems import documented

# Problems with which any request behind a key may be answered; a POST adds those of its body.
ON_GET = documented(401, 403, 422, 429, 500, 503)
ON_POST = documented(400, 413, 415) | ON_GET


def money_blueprint(name: str) -> APIBlueprint:
    """Build the blueprint of `/api/<name>`, which needs a caller's key and refuses card data."""
    return callers_blueprint(name, f"/api/{name}", f"{name}s")


def callers_blueprint(name: str, prefix: str, tag: str) -> APIBlueprint:
    """Build a blueprint at a path, which needs a caller's key and refuses card data."""
    return guarded_blueprint(name, prefix, require_caller, tag)


def operations_blueprint(name: str) -> APIBlueprint:
    """Build a blueprint of `/ops`, which needs an operator's key and refuses card data."""
    return guarded_blueprint(name, "/ops", require_operator, "operations")


def guarded_blueprint(
    name: str, prefix: str, guard: Callable[[], None], tag: str = "refunds"
) -> APIBlueprint:
    """Build a blueprint that calls `guard` before each request and refuses card data."""
    blueprint = APIBlueprint(
        name,
        __name__,
        url_prefix=prefix,
        abp_tags=[Tag(name=tag)],
        abp_security=BEARER,
        operation_id_callback=operation_name,
    )
    blueprint.before_request(guard)
    blueprint.before_request(require_clean_json)
    return blueprint
