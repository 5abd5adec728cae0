"""Settings: all problems are reported, live keys need safe settings, secrets are hidden."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from shared.errors import Misconfigured
from shared.misspellings import misspellings
from shared.processes import SECRETS_OF, Process
from shared.setting_types import FORMS, QUEUES
from shared.settings import (
    Settings,
    load_settings,
    load_worker_settings,
)
from shared.settings_documents import env_example, markdown_table

GOOD = {
    "STRIPE_SECRET_KEY": "sk_test_0123456789abcdef",
    "STRIPE_WEBHOOK_SECRET": "whsec_one,whsec_two",
    "EVENT_SERVICE_URL": "http://event-service:5000/",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)  # each could be a misspelled setting, and is compared with all


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in (GOOD | variables).items():
        monkeypatch.setenv(name, value)
    return load_settings(env_file=None)


def problems(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    with pytest.raises(Misconfigured) as refusal:
        load(monkeypatch, **variables)
    return refusal.value.detail


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
    messages = problems(monkeypatch, WORKER_QUEUES="events,notification")
    assert messages.startswith("WORKER_QUEUES is not valid")
    assert "'notifications'" in messages


def test_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(Misconfigured) as refusal:
        load_settings(env_file=None)
    assert [line.split()[0] for line in refusal.value.detail.splitlines()] == sorted(GOOD)


def test_several_problems_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = problems(monkeypatch, PORT="99999", EVENT_SERVICE_URL="ftp://x", LOG_FORMAT="xml")
    assert {line.split()[0] for line in messages.splitlines()} == {
        "PORT",
        "EVENT_SERVICE_URL",
        "LOG_FORMAT",
    }


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"STRIPE_SECRET_KEY": "pk_test_123"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": "sk_live_0123456789"}, "API_KEYS"),
        (
            {
                "STRIPE_SECRET_KEY": "sk_live_0123456789",
                "STRIPE_WEBHOOK_SECRET": "whsec_1a2b3c4d5e6f7a8b9c0d1e2f3a4b",
                "EVENT_SERVICE_URL": "https://events.example",
                "EVENT_SERVICE_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "API_KEYS": "9f8b2c7d1e6a4053b7c2d9e8f1a06b5c",
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
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], names: str
) -> None:
    assert problems(monkeypatch, **variables).startswith(names)


@pytest.mark.parametrize("keys", ["user_id", "event_id,status", "event_id,a b", "event_id,limit"])
def test_payments_are_indexed_by_event_and_by_no_name_of_a_filter(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    assert "INDEXED_METADATA" in problems(monkeypatch, INDEXED_METADATA=keys)


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"API_KEYS": "planted-api-key", "OPERATOR_KEYS": "planted-operator-key"}
    settings = load(monkeypatch, **secrets)
    answer = repr(settings) + str(settings) + repr(settings.model_dump())
    for secret in (*secrets.values(), GOOD["STRIPE_SECRET_KEY"], "whsec_one"):
        assert secret not in answer
    messages = problems(monkeypatch, STRIPE_WEBHOOK_SECRET="planted_bad_secret", PORT="x")
    assert "planted" not in messages


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        load(monkeypatch).__setattr__("port", 1)


def test_the_example_and_the_table_name_every_setting() -> None:
    for name in Settings.model_fields:
        assert f"{name.upper()}=" in env_example()
        assert f"`{name.upper()}`" in markdown_table()


SECRETS = {
    "EVENT_SERVICE_SECRET": "whsec_bm90aWZpY2F0aW9ucyBvZiB0aGUgdGVzdA==",
    "API_KEYS": "planted-api-key-of-the-test",
    "OPERATOR_KEYS": "planted-operator-key-of-the-test",
}


def load_for(monkeypatch: pytest.MonkeyPatch, *processes: Process, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings(*processes, env_file=None)


def secrets_in(settings: Settings) -> set[str]:
    """List the secret settings that are not empty."""
    values = {name: getattr(settings, name.lower()) for name in GOOD | SECRETS}
    return {
        name
        for name, value in values.items()
        if (value.get_secret_value() if isinstance(value, SecretStr) else value)
    }


@pytest.mark.parametrize("process", ["api", "worker", "notifier", "upkeep", "flower"])
def test_a_process_holds_its_own_secrets_and_no_other(
    monkeypatch: pytest.MonkeyPatch, process: Process
) -> None:
    settings = load_for(monkeypatch, process, **(GOOD | SECRETS))
    assert secrets_in(settings) == SECRETS_OF[process] - {"FLOWER_BASIC_AUTH"}
    assert secrets_in(load_for(monkeypatch)) == {*GOOD, *SECRETS}


@pytest.mark.parametrize("process", ["api", "worker", "notifier", "upkeep", "flower"])
def test_a_process_needs_what_it_is_given_and_names_it_when_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, process: Process
) -> None:
    needed = SECRETS_OF[process] & set(GOOD)
    load_for(monkeypatch, process, **{name: GOOD[name] for name in needed})
    for name in needed:
        monkeypatch.delenv(name)
    if needed:
        with pytest.raises(Misconfigured) as refusal:
            load_for(monkeypatch, process)
        assert {line.split()[0] for line in refusal.value.detail.splitlines()} == needed


@pytest.mark.parametrize(
    ("queues", "needed"),
    [
        ("notifications", {"EVENT_SERVICE_URL"}),
        ("events,refunds,upkeep", {"STRIPE_SECRET_KEY"}),
        ("", {"EVENT_SERVICE_URL", "STRIPE_SECRET_KEY"}),
        ("no-queue", {"WORKER_QUEUES", "EVENT_SERVICE_URL", "STRIPE_SECRET_KEY"}),
    ],
)
def test_what_a_worker_needs_follows_from_its_queues(
    monkeypatch: pytest.MonkeyPatch, queues: str, needed: set[str]
) -> None:
    monkeypatch.setenv("WORKER_QUEUES", queues)
    with pytest.raises(Misconfigured) as refusal:
        load_worker_settings(env_file=None)
    assert {line.split()[0] for line in refusal.value.detail.splitlines()} == needed


def test_a_missing_variable_hides_no_problem_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "pk_test_a_public_one")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "no-secret")
    monkeypatch.setenv("EVENT_SERVICE_SECRET", "whsec_!")
    monkeypatch.setenv("PORT", "none")
    with pytest.raises(Misconfigured) as refusal:
        load_settings(env_file=None)
    assert [line.split()[0] for line in refusal.value.detail.splitlines()] == [
        "EVENT_SERVICE_SECRET",
        "EVENT_SERVICE_URL",
        "PORT",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
    ]


def test_a_misspelled_name_in_the_file_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    lines = [f"{name}={value}" for name, value in GOOD.items()]
    file.write_text("\n".join([*lines, "OPERATER_KEYS=key", "SOMETHING_ELSE=1", "API_KEY=key"]))
    with pytest.raises(Misconfigured) as refusal:
        load_settings(env_file=str(file))
    assert refusal.value.detail.splitlines() == [
        "API_KEY is not a setting: do you mean API_KEYS?",
        "OPERATER_KEYS is not a setting: do you mean OPERATOR_KEYS?",
    ]


def test_a_misspelled_name_in_the_shell_is_told_beside_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRT", "whsec_one")
    load(monkeypatch)  # alone it is no reason to refuse
    messages = problems(monkeypatch, STRIPE_WEBHOOK_SECRET="")
    assert "STRIPE_WEBHOOK_SECRT is not a setting: do you mean STRIPE_WEBHOOK_SECRET?" in messages


@pytest.mark.parametrize(
    ("variable", "value", "messages"),
    [
        ("CALLER_LIMITS", '{"shop": {"acounts": []}}', "shop.acounts: there is no limit of this"),
        ("REFUND_WARNED_UP_TO", "sgd", "sgd:5000"),
        ("INSTALLATION", "Ours", "small letters"),
        ("INDEXED_METADATA", "event_id,a b", "letters, digits"),
        ("EVENT_SERVICE_PATH", "notify", "begins with a slash"),
        ("EVENT_SERVICE_URL", "ftp://x", "is not valid: must be an http"),
        ("ALLOWED_HOSTS", "a.example,https://pay.example.com/", "without a scheme"),
        ("ALLOWED_HOSTS", "pay.example.com:443", "without a scheme, a port"),
        ("ALLOWED_HOSTS", '"pay.example.com"', "write names only"),
        ("CALLER_LIMITS", '{"shop": {"refunds_per_hour": {"sgd": -1}}}', "greater than or equal"),
        ("CALLER_LIMITS", '{"shop": {"refunds_per_hour": {"sgd": "5"}}}', "valid integer"),
        ("CALLER_LIMITS", '{"shop": {"refunds_per_hour": {"dollars": 5}}}', "three letters"),
        ("CALLER_LIMITS", '{"shop": {"accounts": ["acct 1"]}}', "own or acct_"),
        ("CALLER_LIMITS", '{"shop": {}, "shop": {"read_only": true}}', "has shop twice"),
        ("EVENT_SERVICE_PATH", "/a b", "characters that a URL can have"),
        ("EVENT_SERVICE_PATH", "/a\n", "characters that a URL can have"),
        ("EVENT_SERVICE_PATH", "/a#b", "characters that a URL can have"),
        ("EVENT_SERVICE_PATH", "/ä", "characters that a URL can have"),
        ("STRIPE_SECRET_KEY", "sk_test_a b", "has no spaces"),
        ("STRIPE_SECRET_KEY", "sk_test_", "has no spaces"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_", "separated by commas"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_a whsec_b", "separated by commas"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_a;whsec_b", "separated by commas"),
        ("HOST", "   ", "0.0.0.0 for all"),
        ("HOST", '"127.0.0.1"', "0.0.0.0 for all"),
        ("HOST", "127.0.0.1:5001", "0.0.0.0 for all"),
        ("API_KEYS", "till:0123456789abcdef,shop:", "no name or no key"),
        ("OPERATOR_KEYS", ":0123456789abcdef", "no name or no key"),
        ("API_KEYS", "shop:schlüssel", "ASCII"),
    ],
)
def test_what_is_wrong_with_a_value_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, messages: str
) -> None:
    text = problems(monkeypatch, **{variable: value})
    assert text.startswith(f"{variable} is not valid: ")
    assert messages in text
    assert "^" not in text, "no regular expression"


@pytest.mark.parametrize(
    "name",
    [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)],
)
@pytest.mark.parametrize("value", ["-1", "99999999999999999999", "inf", "nan"])
def test_every_number_has_bounds(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    text = problems(monkeypatch, **{name.upper(): value})
    assert text.startswith(f"{name.upper()} is not valid: ")


def test_what_cannot_be_misread_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = '{"shop": {"refunds_per_hour": {"SGD": 5}, "accounts": ["own", "acct_1"]}}'
    settings = load(
        monkeypatch,
        CALLER_LIMITS=limits,
        STRIPE_SECRET_KEY=" sk_test_of_a_file\n",
        EVENT_SERVICE_PATH="/a%20b/c?d=1",
    )
    assert settings.caller_limits["shop"].refunds_per_hour == {"sgd": 5}
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_of_a_file"
    assert settings.notifications_url.endswith("/a%20b/c?d=1")


def test_a_bound_of_one_setting_is_kept_beside_that_of_its_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "86400" in problems(monkeypatch, IDEMPOTENCY_RETENTION_SECONDS="86399")
    assert "16" in problems(monkeypatch, MAX_CONNECTIONS="15")
    for name, field in Settings.model_fields.items():
        bounds = [type(bound) for bound in field.metadata]
        assert len(bounds) == len(set(bounds)), name


def test_the_case_of_a_host_name_and_the_brackets_of_an_address_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch, ALLOWED_HOSTS="Pay.Example.com, [2001:DB8::1],10.0.0.7,*")
    assert settings.allowed_hosts == ("pay.example.com", "2001:db8::1", "10.0.0.7", "*")


def test_a_pattern_of_a_setting_has_words() -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings(
            _env_file=None,
            installation="?",
            event_service_path="?",
            indexed_metadata=("?",),
            refund_warned_up_to=("?",),
            refund_batch_max_amount=("?",),
            caller_limits={"shop": {"accounts": ["?"], "refunds_per_hour": {"?": 1}}},
        )
    patterns = {error["ctx"]["pattern"] for error in refusal.value.errors() if "ctx" in error}
    assert patterns == set(FORMS)


@pytest.mark.parametrize("name", ["REDIS_PORT", "API_PORT", "HOSTNAME", "PATH", "HOME", "PORTS"])
def test_what_a_platform_sets_by_itself_is_no_misspelling(name: str) -> None:
    names = [field.upper() for field in Settings.model_fields]
    assert misspellings([name], names) == {}


def test_a_process_without_the_key_is_told_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_for(monkeypatch, "upkeep").mode == ""
    assert load_for(monkeypatch, "upkeep", STRIPE_MODE="live").livemode
    with pytest.raises(Misconfigured, match="STRIPE_MODE is not valid"):
        load(monkeypatch, STRIPE_MODE="live")


def loaded_from(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / ".env"
    file.write_text(text, "utf-8")
    return load_settings(env_file=str(file))


def test_the_environment_counts_before_the_file_unless_it_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    monkeypatch.setenv("WORKER_CONCURRENCY", "")
    variables = GOOD | {"LOG_LEVEL": "ERROR", "WORKER_CONCURRENCY": "3", "API_THREADS": ""}
    read = loaded_from(tmp_path, "\n".join(f"{name}={value}" for name, value in variables.items()))
    usual = Settings.model_fields["api_threads"].default
    assert (read.log_level, read.worker_concurrency, read.api_threads) == ("WARNING", 3, usual)


def test_the_first_line_of_a_file_with_a_byte_order_mark_counts(tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, value in GOOD.items()]
    read = loaded_from(tmp_path, "\ufeff" + "\n".join(lines))
    assert read.stripe_secret_key.get_secret_value() == GOOD["STRIPE_SECRET_KEY"]


def test_a_start_reads_the_file_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reads: list[Path] = []
    read_text = Path.read_text

    def noting(self: Path, *how: Any) -> str:
        reads.append(self)
        return read_text(self, *how)

    monkeypatch.setattr(Path, "read_text", noting)
    (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in GOOD.items()))
    load_worker_settings(env_file=str(tmp_path / ".env"))
    assert reads == [tmp_path / ".env"]
