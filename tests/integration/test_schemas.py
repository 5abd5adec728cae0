"""The JSON Schemas of notifications: public, valid for real notifications and for no others."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient

from shared.notification import TYPES, example
from shared.settings import Settings
from tests.integration.doors import open_door

Json = dict[str, Any]


def served(client: FlaskClient, name: str) -> Json:
    answer = client.get(f"/schemas/notifications/{name}")
    assert answer.status_code == 200
    assert answer.content_type == "application/schema+json"
    schema: Json = answer.get_json(force=True)
    return schema


def test_the_index_leads_to_a_schema_of_every_type_without_a_key(settings: Settings) -> None:
    closed = settings.model_copy(update={"api_keys": ["api-key-0123"], "operator_keys": ["op-key"]})
    client = open_door(closed)
    index = client.get("/schemas/notifications").get_json()["data"]
    assert list(index) == list(TYPES)
    for name, path in index.items():
        schema = client.get(path).get_json(force=True)
        jsonschema_rs.meta.validate(schema)
        assert (schema["$id"], schema["title"]) == (path, name)
    assert client.get("/schemas/notifications/payment.unheard_of").status_code == 404


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_takes_its_type_and_no_other_and_no_wrong_null(
    client: FlaskClient, name: str
) -> None:
    checks = jsonschema_rs.validator_for(served(client, name), validate_formats=True)
    body = example(name)
    checks.validate(body)
    checks.validate(body | {"field_of_tomorrow": 1})
    wrong = [body | {"type": "payment.unheard_of"}, body | {"sequence": 0}]
    wrong += [body | {"id": "evt_1"}, body | {"timestamp": "yesterday"}]
    type_, data = TYPES[name], body["data"]
    wrong += [body | {"data": data | {field: None}} for field in type_.always]
    others = set(data) - {*type_.always, *type_.sometimes}
    wrong += [body | {"data": data | {field: "something"}} for field in others]
    wrong += [{k: v for k, v in body.items() if k != left_out} for left_out in body]
    assert [one for one in wrong if checks.is_valid(one)] == []
    for field in type_.sometimes:
        checks.validate(body | {"data": data | {field: None}})
