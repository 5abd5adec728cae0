"""The JSON Schemas of notifications, for authors of an event service; they need no key."""

from __future__ import annotations

import json
from functools import cache

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from api.models import Output
from api.openapi import operation_name
from api.problems import documented
from api.reply import reply
from shared.errors import CallerError
from shared.notification import TYPES
from shared.notification_schemas import ROUTE, address, schema

# RFC 8259 with the type that JSON Schema's own draft registers.
CONTENT_TYPE = "application/schema+json"
schemas = APIBlueprint(
    "schemas",
    __name__,
    abp_tags=[Tag(name="notifications")],
    operation_id_callback=operation_name,
)


class SchemaList(Output):
    """The types of notifications, each with the path of its JSON Schema."""

    data: dict[str, str]


class TypePath(BaseModel):
    """A type of notification."""

    type: str = Field(json_schema_extra={"enum": list(TYPES)})


@schemas.get(ROUTE, responses={200: SchemaList})
def index() -> Response:
    """List the types of notifications, each with the path of its JSON Schema."""
    return reply(SchemaList(data={name: address(name) for name in TYPES}))


@schemas.get(
    f"{ROUTE}/<type>",
    responses={
        200: {"content": {CONTENT_TYPE: {"schema": {"type": "object"}}}, "description": "OK"},
        **documented(404),
    },
)
def one(path: TypePath) -> Response:
    """Return the JSON Schema of one type of notification."""
    if path.type not in TYPES:
        raise CallerError(
            f"No notification has this type; {ROUTE} lists them.",
            status=404,
            code="notification_type_not_found",
        )
    return Response(_text(path.type), content_type=CONTENT_TYPE)


@cache
def _text(name: str) -> str:
    return json.dumps(schema(name), ensure_ascii=False)
