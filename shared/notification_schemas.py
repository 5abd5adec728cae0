"""A JSON Schema for each type of notification, built from the model of notifications."""

from __future__ import annotations

from typing import Any

from shared.notification import TYPES, Notification, NotificationData

Json = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Path of the schemas in the API; the index has the same path without a name.
ROUTE = "/schemas/notifications"
TIMESTAMP = {"type": "string", "format": "date-time"}
IDENTITY = {"type": "string", "pattern": "^ntf_[a-z2-7]{26}$"}
TIMES = ("available_on", "due_by")


def address(name: str) -> str:
    """Return the path at which the schema of a type is served."""
    return f"{ROUTE}/{name}"


def schema(name: str) -> Json:
    """Return the JSON Schema (2020-12) of a type.

    A field that the type always fills may not be null; a field that it never fills must be null.
    Further fields are allowed: a later version may add some. Raises `KeyError` for another name.
    """
    type_ = TYPES[name]
    document = Notification.model_json_schema(mode="serialization")
    fields = document["properties"]
    return {
        "$schema": DIALECT,
        "$id": address(name),
        "title": name,
        "description": type_.meaning,
        "type": "object",
        "required": list(fields),
        "properties": {
            "id": fields["id"] | IDENTITY,
            "type": {"const": name},
            "timestamp": fields["timestamp"] | TIMESTAMP,
            "sequence": fields["sequence"] | {"minimum": 1},
            "livemode": fields["livemode"],
            "data": _data(type_.always, type_.sometimes),
        },
    }


def _data(always: tuple[str, ...], sometimes: tuple[str, ...]) -> Json:
    fields = NotificationData.model_json_schema(mode="serialization")["properties"]
    properties = {
        name: _field(name, field, filled=name in always, possible=name in sometimes)
        for name, field in fields.items()
    }
    return {"type": "object", "required": list(fields), "properties": properties}


def _field(name: str, field: Json, *, filled: bool, possible: bool) -> Json:
    """Narrow a field of the model, which may be null there, to its values in one type."""
    kinds = [dict(kind) for kind in field.get("anyOf", [])]
    kind = next((one for one in kinds if one["type"] != "null"), None)
    if kind is None:  # never null, in any type
        return field
    if name in TIMES:
        kind |= TIMESTAMP
    described = {"description": field["description"]}
    if filled:
        return described | kind
    return described | ({"anyOf": [kind, {"type": "null"}]} if possible else {"type": "null"})
