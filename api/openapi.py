"""The contract that the service serves: OpenAPI 3.1 from the models, with corrections."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask_openapi3.openapi import OpenAPI

from api.hosts import OPEN_PATHS
from api.messages import FAULTS
from api.notifications_contract import add_notifications
from api.problems import documented

Json = dict[str, Any]
# What any request may be answered before its route is known.
BEFORE_ROUTES = frozenset(fault.status for fault in FAULTS)
# The routes have the same address as the contract.
SERVERS = [{"url": "/", "description": "The service that serves this document."}]


def operation_name(*, bp_name: str, name: str, path: str, method: str) -> str:
    """Name an operation by its resource and its action: `paymentProcess`, `opsDeadLetters`."""
    del path, method
    first, *rest = f"{bp_name.removesuffix('_lists')}_{name}".split("_")
    return first + "".join(part.capitalize() for part in rest)


def contract(app: OpenAPI) -> Json:
    """Build the contract of an application.

    The library documents a 422 in a form of its own for every route that names none; our answers
    do not have this form, and a route without input never answers 422. It also gives optional
    fields the default null, so that a client's generated types would require them.
    """
    document: Json = app.api_doc
    document["servers"] = SERVERS
    for path, operations in document["paths"].items():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in content:
                del operation["responses"]["422"]
            _add_refusals(operation["responses"], path)
    add_notifications(document)
    _drop_null_defaults(document)
    return document


def _add_refusals(responses: Json, path: str) -> None:
    """Document what the server answers itself, beside the route's own answers of that status."""
    by_name = () if path in OPEN_PATHS else (HTTPStatus.MISDIRECTED_REQUEST,)
    refusals: list[tuple[Any, Any]] = sorted(documented(*BEFORE_ROUTES, *by_name).items())
    for status, refusal in refusals:
        answer = responses.setdefault(str(status), {"description": refusal["description"]})
        answer["content"] = refusal["content"] | answer.get("content", {})


def _drop_null_defaults(node: Any) -> None:
    if isinstance(node, dict):
        if "default" in node and node["default"] is None:
            del node["default"]
        for value in node.values():
            _drop_null_defaults(value)
    elif isinstance(node, list):
        for value in node:
            _drop_null_defaults(value)
