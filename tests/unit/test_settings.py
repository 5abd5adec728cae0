"""Settings: all problems at once, nothing unsafe with real money, no secret ever shown."""

from __future__ import annotations

import pytest

from shared.errors import Misconfigured
from shared.settings import QUEUES, Settings, env_example, load_settings, markdown_table

GOOD = {
    "STRIPE_SECRET_KEY": "sk_test_0123456789abcdef",
    "STRIPE_WEBHOOK_SECRET": "whsec_one,whsec_two",
    "EVENT_SERVICE_URL": "http://event-service:5000/",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in (GOOD | variables).items():
        monkeypatch.setenv(name, value)
    return load_settings(env_file=None)


def problems(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    with pytest.raises(Misconfigured) as refused:
        load(monkeypatch, **variables)
    return refused.value.detail


def test_the_three_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert settings.notifications_url == "http://event-service:5000/api/billing/notifications"
    assert [s.get_secret_value() for s in settings.stripe_webhook_secret] == [
        "whsec_one",
        "whsec_two",
    ]
    assert settings.livemode is False


def test_a_worker_serves_the_queues_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).worker_queues == QUEUES
    assert load(monkeypatch, WORKER_QUEUES="events, refunds").worker_queues == ("events", "refunds")
    told = problems(monkeypatch, WORKER_QUEUES="events,notification")
    assert told.startswith("WORKER_QUEUES is not valid")
    assert "'notifications'" in told


def test_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(Misconfigured) as refused:
        load_settings(env_file=None)
    assert [line.split()[0] for line in refused.value.detail.splitlines()] == sorted(GOOD)


def test_several_problems_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    told = problems(monkeypatch, PORT="99999", EVENT_SERVICE_URL="ftp://x", LOG_FORMAT="xml")
    assert {line.split()[0] for line in told.splitlines()} == {
        "PORT",
        "EVENT_SERVICE_URL",
        "LOG_FORMAT",
    }


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"STRIPE_SECRET_KEY": "pk_test_123"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": "sk_live_0123456789"}, "API_KEYS"),
        (
            {
                "STRIPE_SECRET_KEY": "sk_live_0123456789",
                "API_KEYS": "k" * 20,
                "STRIPE_API_BASE": "http://127.0.0.1:12111",
            },
            "STRIPE_API_BASE",
        ),
        ({"STRIPE_WEBHOOK_SECRET": "secret"}, "STRIPE_WEBHOOK_SECRET"),
        ({"STRIPE_WEBHOOK_SECRET": " , "}, "STRIPE_WEBHOOK_SECRET"),
        ({"EVENT_SERVICE_SECRET": "whsec_not*base64"}, "EVENT_SERVICE_SECRET"),
    ],
)
def test_what_is_unsafe_may_not_serve(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    assert problems(monkeypatch, **variables).startswith(named)


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"API_KEYS": "planted-api-key", "OPERATOR_KEYS": "planted-operator-key"}
    settings = load(monkeypatch, **secrets)
    shown = repr(settings) + str(settings) + repr(settings.model_dump())
    for secret in (*secrets.values(), GOOD["STRIPE_SECRET_KEY"], "whsec_one"):
        assert secret not in shown
    told = problems(monkeypatch, STRIPE_WEBHOOK_SECRET="planted_bad_secret", PORT="x")
    assert "planted" not in told


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        load(monkeypatch).port = 1


def test_the_example_and_the_table_name_every_setting() -> None:
    for name in Settings.model_fields:
        assert f"{name.upper()}=" in env_example()
        assert f"`{name.upper()}`" in markdown_table()
