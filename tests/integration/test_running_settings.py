"""`/ops/settings` returns the settings that are in use, without secrets."""

from __future__ import annotations

import json
from typing import get_args

from pydantic import SecretStr

from shared.settings import Settings
from tests.conftest import make_settings
from tests.integration.doors import open_door

SECRETS = {
    "stripe_secret_key": "rk_test_hunter2hunter2hunter2",
    "stripe_webhook_secret": "whsec_hunter2webhook,whsec_hunter2older",
    "event_service_secret": "whsec_aHVudGVyMmh1bnRlcjI=",
    "event_service_url": "http://kim:hunter2@127.0.0.1:9",
    "api_keys": "shop:hunter2-api-key",
    "operator_keys": "hunter2-operator-key",
}


def test_settings_are_told_and_secrets_are_not(valkey_url: str) -> None:
    own_settings = make_settings(redis_url=valkey_url, retry_base_seconds=7.0, **SECRETS)
    key = {"Authorization": "Bearer hunter2-operator-key"}
    client = open_door(own_settings)
    assert client.get("/ops/settings").status_code == 401
    body = client.get("/ops/settings", headers=key).get_json()
    assert set(body["settings"]) == {name.upper() for name in Settings.model_fields}
    assert body["settings"]["RETRY_BASE_SECONDS"] == 7.0
    assert body["settings"]["STRIPE_SECRET_KEY"] == "rk_test"
    assert body["settings"]["STRIPE_WEBHOOK_SECRET"] == "set"
    assert body["settings"]["EVENT_SERVICE_URL"] == "http://kim:***@127.0.0.1:9"
    assert body["mode"] == "test"
    assert "hunter2" not in json.dumps(body)


def test_every_secret_field_is_shown_as_set_or_not_set(valkey_url: str) -> None:
    client = open_door(make_settings(redis_url=valkey_url))
    shown_settings = client.get("/ops/settings").get_json()["settings"]
    for name, field in Settings.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        if SecretStr in kinds and name != "stripe_secret_key":
            assert shown_settings[name.upper()] in ("set", "not set")
