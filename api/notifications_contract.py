"""The notifications in the contract: OpenAPI's `webhooks`, one for each type, with an example."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from shared.notification import TYPES, Notification, example
from shared.notification_schemas import address

Json = dict[str, Any]
REFERENCE = "#/components/schemas/{model}"
# What the event service may answer; anything else is tried again.
ANSWERS = {
    "2XX": {"description": "Taken: it is not sent again."},
    "410": {"description": "Never to be taken: it is a dead letter at once."},
    "default": {"description": "Not taken: it is sent again, with growing delays, for 72 hours."},
}


def add_notifications(document: Json) -> None:
    """Add every type of notification to an OpenAPI document; again changes nothing."""
    _, definitions = models_json_schema([(Notification, "serialization")], ref_template=REFERENCE)
    document["components"].setdefault("schemas", {}).update(definitions["$defs"])
    document["webhooks"] = {name: {"post": _operation(name)} for name in TYPES}


def _operation(name: str) -> Json:
    return {
        "operationId": name.replace(".", "_"),
        "summary": TYPES[name].meaning,
        "tags": ["notifications"],
        "externalDocs": {"description": "Its JSON Schema.", "url": address(name)},
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": REFERENCE.format(model="Notification")},
                    "example": example(name),
                }
            },
        },
        "responses": ANSWERS,
    }
