"""The contract the service serves: OpenAPI 3.1 from the models, put right where it misleads."""

from __future__ import annotations

from typing import Any

from flask_openapi3.openapi import OpenAPI

from api.notifications_contract import add_notifications

Json = dict[str, Any]
# Where the contract is served is where its routes are.
SERVERS = [{"url": "/", "description": "The service that serves this document."}]


def operation_name(*, bp_name: str, name: str, path: str, method: str) -> str:
    """Name an operation by its resource and what is done: `paymentProcess`, `opsDeadLetters`."""
    del path, method
    first, *rest = f"{bp_name.removesuffix('_lists')}_{name}".split("_")
    return first + "".join(part.capitalize() for part in rest)


def contract(app: OpenAPI) -> Json:
    """Give the contract of an application.

    The library adds to every route that names no 422 one of its own shape, which no answer of ours
    has; a route without input has none at all. And it says of what may be left out that null is its
    default: a client's generated types would then demand it.
    """
    document: Json = app.api_doc
    document["servers"] = SERVERS
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in content:
                del operation["responses"]["422"]
    add_notifications(document)
    _drop_null_defaults(document)
    return document


def _drop_null_defaults(node: Any) -> None:
    if isinstance(node, dict):
        if "default" in node and node["default"] is None:
            del node["default"]
        for value in node.values():
            _drop_null_defaults(value)
    elif isinstance(node, list):
        for value in node:
            _drop_null_defaults(value)
