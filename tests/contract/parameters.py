"""Find out what the sandbox does with each parameter that Stripe's description documents."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.routes import ROUTES
from sandbox.transport import EXPAND
from sandbox.wire.call import Route
from sandbox.wire.params import Fields, ListOf, NotSimulated, Required, UnsetOr
from tests.contract import tools
from tests.contract.oracle import Oracle

PLAYED, REFUSED, UNKNOWN = "played", "refused", "UNKNOWN"
FORM = "application/x-www-form-urlencoded"
JSON_BODY = "application/json"


def decisions(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each documented parameter of each route that is served."""
    for route in ROUTES:
        operation = operation_of(document, route)
        for name, schema in sorted(documented(document, operation)):
            for path, decision in _decide(document, dict(route.spec, expand=EXPAND), name, schema):
                yield f"{decision} {route.method} {route.pattern} {path}"


def operation_of(document: Mapping[str, Any], route: Route) -> Mapping[str, Any]:
    target = re.sub(r"\{\w+\}", "{}", route.pattern)
    for path, operations in document["paths"].items():
        if re.sub(r"\{\w+\}", "{}", path) == target and route.method.lower() in operations:
            described: Mapping[str, Any] = operations[route.method.lower()]
            return described
    return {}


def documented(
    document: Mapping[str, Any], operation: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            yield parameter["name"], parameter["schema"]
    content = operation.get("requestBody", {}).get("content", {})
    for kind in (FORM, JSON_BODY):
        if kind in content:
            schema = content[kind]["schema"]
            if "$ref" in schema:
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            yield from schema.get("properties", {}).items()


def _decide(
    document: Mapping[str, Any], spec: Mapping[str, Any], name: str, schema: Any, prefix: str = ""
) -> Iterator[tuple[str, str]]:
    path = f"{prefix}[{name}]" if prefix else name
    if name not in spec:
        yield path, UNKNOWN
        return
    parser = bare(spec[name])
    if isinstance(parser, NotSimulated):
        yield path, REFUSED
        return
    inside = properties(schema)
    if not isinstance(parser, Fields) or not inside:
        yield path, PLAYED
        return
    for inner, inner_schema in sorted(inside.items()):
        yield from _decide(document, parser.spec, inner, inner_schema, path)


@functools.cache
def document() -> Mapping[str, Any]:
    """Read Stripe's description; `bin/contract --prepare` fetches it."""
    read: Mapping[str, Any] = Oracle.read(tools.DESCRIPTION)
    return read


def bare(parser: Any) -> Any:
    """Remove wrappers: required, unset by "", an array of."""
    while isinstance(parser, Required | UnsetOr | ListOf):
        parser = parser.item if isinstance(parser, ListOf) else parser.parser
    return parser


def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the documented keys of a map, or of the elements of an array of maps."""
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("type") == "array":
            return properties(part.get("items", {}))
        if "properties" in part:
            described: Mapping[str, Any] = part["properties"]
            return described
    return {}


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in decisions(document()))
