"""The notifications in the contract: OpenAPI's `webhooks`, one for each type, with an example."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from shared.notification import TYPES, Notification, example
from shared.notification_schemas import address

Json = dict[str, Any]
REFERENCE = "#/components/schemas/{model}"
# Answers of the event service; after any other answer the notification is sent again.
ANSWERS = {
    "2XX": {"description": "Accepted: the notification is not sent again."},
    "410": {"description": "Refused for good: the notification becomes a dead letter at once."},
    "default": {
        "description": "Not accepted: the notification is sent again, with growing delays, for "
        "72 hours."
    },
}


def add_notifications(document: Json) -> None:
    """Add every type of notification to an OpenAPI document; idempotent."""
    _, definitions = models_json_schema([(Notification, "serialization")], ref_template=REFERENCE)
    document["components"].setdefault("schemas", {}).update(definitions["$defs"])
    document["webhooks"] = {name: {"post": _operation(name)} for name in TYPES}


def _operation(name: str) -> Json:
    return {
        "operationId": name.replace(".", "_"),
        "summary": TYPES[name].meaning,
        "tags": ["notifications"],
        "externalDocs": {"description": "The JSON Schema of this type.", "url": address(name)},
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
