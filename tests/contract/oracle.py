"""Validate answers and events by Stripe's own OpenAPI description.

Two checks are needed. The JSON schema checks the values that are there: types, enums, lengths,
patterns. It checks few keys, because Stripe marks few of them `required` and forbids none. So a
second walk reports unknown keys, and missing keys that Stripe always sends.
"""

from __future__ import annotations

import json
import os
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs

from tests.contract.gaps import ABSENT_BY_RIGHT, BEYOND_THE_SPEC, ENDIVE

SCHEMAS = "#/components/schemas/"
# A mismatch in an `anyOf` quotes the whole object; the first line has the place and the cause.
LONGEST_COMPLAINT = 300
ENDIVE_BEGINS = "2026-09-30"

# "schema.key" of keys that are allowed although the description does not have them.
Allowed = frozenset[str]


@dataclass(frozen=True)
class Verdict:
    """The schema of one answer, and its violations."""

    judged_by: str | None
    complaints: tuple[str, ...]


class Oracle:
    """Has Stripe's description, and one validator of all its schemas.

    Most schemas lead to most others, so that a validator for one takes a third as long to make as
    the validator for all. Its rules are named: "charge", or "GET /v1/charges".
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.version: str = document["info"]["version"]
        self._schemas: dict[str, Any] = document["components"]["schemas"]
        self._routes = [
            (_pattern(path), path.count("{"), path, operations)
            for path, operations in document["paths"].items()
        ]
        self._rules = {name: {"$ref": SCHEMAS + name} for name in self._schemas} | {
            f"{method.upper()} {path}": content["application/json"]["schema"]
            for _, _, path, operations in self._routes
            for method, operation in operations.items()
            if "application/json" in (content := operation["responses"]["200"]["content"])
        }
        self._validator = jsonschema_rs.Draft7Validator(
            {
                "properties": _plain_json_schemas(self._rules),
                "components": {"schemas": _plain_json_schemas(self._schemas)},
            }
        )

    @classmethod
    def load(cls, source: Path) -> Oracle:
        """Build an oracle with the description that `read` returns."""
        return cls(cls.read(source))

    @staticmethod
    def read(source: Path) -> dict[str, Any]:
        """Read the description from `stripe_spec.py` of the package that contains it."""
        cached = source.with_suffix(".json")
        if not cached.exists():
            own = cached.with_suffix(f".{os.getpid()}")  # other processes of the suite read, too
            own.write_text(json.dumps(runpy.run_path(str(source))["sspec"]))
            own.replace(cached)
        document: dict[str, Any] = json.loads(cached.read_text())
        return document

    def judge_answer(
        self, method: str, path: str, status: int, body: Any, version: str = ""
    ) -> Verdict:
        """Validate one answer; `judged_by` is None for a route that Stripe does not document."""
        rule = self._rule_for(method, path, status)
        if rule is None:
            return Verdict(None, ())
        return Verdict(
            f"{method.upper()} {path}", tuple(self._complaints(body, rule, _allowed(version)))
        )

    def judge_event(self, event: dict[str, Any]) -> Verdict:
        """Validate an event in the forms of the API's list and of a webhook."""
        allowed = _allowed(event.get("api_version") or "")
        return Verdict(event.get("type"), tuple(self._complaints(event, "event", allowed)))

    def _rule_for(self, method: str, path: str, status: int) -> str | None:
        if status >= 400:
            return "error"
        if re.fullmatch(r"/v1/events/[^/]+/retry", path):
            # Undocumented; `stripe events resend` uses it, and the answer is the event.
            return "event"
        fitting = [
            (holes, route)
            for pattern, holes, route, operations in self._routes
            if method.lower() in operations and pattern.fullmatch(path)
        ]
        if not fitting:
            return None
        return f"{method.upper()} {min(fitting, key=lambda pair: pair[0])[1]}"

    def _complaints(self, instance: Any, rule: str, allowed: Allowed) -> Iterator[str]:
        for error in self._validator.iter_errors({rule: instance}):
            where = ".".join(str(step) for step in error.instance_path[1:])
            yield f"{where or '(whole)'}: {error.message[:LONGEST_COMPLAINT]}"
        yield from self._key_complaints(instance, self._rules[rule], "", allowed)

    def _key_complaints(
        self, instance: Any, schema: dict[str, Any], where: str, allowed: Allowed
    ) -> Iterator[str]:
        name, schema = self._resolve(instance, schema)
        if isinstance(instance, list):
            for index, item in enumerate(instance):
                yield from self._key_complaints(
                    item, schema.get("items", {}), f"{where}[{index}]", allowed
                )
        if not isinstance(instance, dict):
            return
        if name == "notification_event_data":
            yield from self._event_data_complaints(instance, where, allowed)
            return
        if "properties" not in schema:
            return
        yield from _unknown_keys(name, instance, schema, where, allowed)
        yield from _missing_keys(name, instance, schema, where)
        for key in instance.keys() & schema["properties"].keys():
            yield from self._key_complaints(
                instance[key], schema["properties"][key], f"{where}.{key}".lstrip("."), allowed
            )

    def _event_data_complaints(
        self, data: dict[str, Any], where: str, allowed: Allowed
    ) -> Iterator[str]:
        """Validate the object in an event by its own name, as the description gives no type."""
        subject = data.get("object", {})
        if subject.get("object") not in self._schemas:
            yield f"{where}.object: no such Stripe object: {subject.get('object')!r}"
            return
        for complaint in self._complaints(subject, subject["object"], allowed):
            yield f"{where}.object.{complaint}"
        before = data.get("previous_attributes", {})
        properties = self._schemas[subject["object"]]["properties"]
        for key in before.keys() - properties.keys():
            yield f"{where}.previous_attributes: unknown key {key}"

    def _resolve(self, instance: Any, schema: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Follow references, and choose the branch of an `anyOf` that fits the value."""
        name = ""
        while "$ref" in schema or "anyOf" in schema:
            if "$ref" in schema:
                name = schema["$ref"].removeprefix(SCHEMAS)
                schema = self._schemas[name]
                continue
            schema = self._branch(instance, schema["anyOf"])
        return name, schema

    def _branch(self, instance: Any, branches: list[dict[str, Any]]) -> dict[str, Any]:
        if not isinstance(instance, dict):
            return next((b for b in branches if "$ref" not in b), {})
        for branch in branches:
            if "$ref" not in branch:
                continue
            properties = self._schemas[branch["$ref"].removeprefix(SCHEMAS)].get("properties", {})
            if instance.get("object") in properties.get("object", {}).get("enum", [None]):
                return branch
        return next((b for b in branches if "$ref" in b), {})


def _unknown_keys(
    name: str, instance: dict[str, Any], schema: dict[str, Any], where: str, allowed: Allowed
) -> Iterator[str]:
    for key in instance.keys() - schema["properties"].keys():
        if f"{name}.{key}" not in allowed:
            yield f"{where or '(whole)'}: unknown key {key} (not in {name or 'the answer'})"


def _missing_keys(
    name: str, instance: dict[str, Any], schema: dict[str, Any], where: str
) -> Iterator[str]:
    """Stripe sends `null` for nullable keys, and leaves out only those that do not apply."""
    required = set(schema.get("required", ()))
    for key, value in schema["properties"].items():
        always = key in required or value.get("nullable", False)
        if always and key not in instance and f"{name}.{key}" not in ABSENT_BY_RIGHT:
            yield f"{where or '(whole)'}: missing key {key} (of {name or 'the answer'})"


def _allowed(version: str) -> Allowed:
    endive = version[: len(ENDIVE_BEGINS)] >= ENDIVE_BEGINS
    return frozenset(BEYOND_THE_SPEC) | (frozenset(ENDIVE) if endive else frozenset())


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path)))


def _plain_json_schemas(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain_json_schema(schema) for name, schema in schemas.items()}


def _plain_json_schema(schema: Any) -> Any:
    """Convert OpenAPI 3.0's `nullable` to JSON Schema; drop texts, which only take memory."""
    if isinstance(schema, list):
        return [_plain_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {}
    for key, value in schema.items():
        if key == "properties":
            plain[key] = _plain_json_schemas(value)
        elif key in {"type", "anyOf", "items", "required", "enum", "pattern", "maxLength", "$ref"}:
            plain[key] = value if key in {"enum", "required"} else _plain_json_schema(value)
        elif key == "additionalProperties":
            plain[key] = _plain_json_schema(value)
    return {"anyOf": [{"type": "null"}, plain]} if schema.get("nullable") else plain
