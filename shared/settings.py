"""Settings: one frozen, typed class, loaded once per process and passed down.

All problems are reported together before anything serves, and no secret is ever printed: secrets
are `SecretStr`. `.env.example` and the README's table are generated from this class.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.bearer_keys import CallerLimits, unknown_callers
from shared.env_file import ENV_FILE, EnvFile, given_file
from shared.errors import Misconfigured
from shared.keys import INSTALLATION
from shared.live_safety import live_problems
from shared.misspellings import misspellings
from shared.processes import GUARDED, PROCESSES, Process, roles_of, secrets_of
from shared.setting_problems import in_words
from shared.setting_types import (
    INSTALLATION_NAME,
    PATH,
    QUEUES,
    Address,
    BearerKeys,
    BodyBytes,
    Count,
    HostNames,
    HttpUrl,
    Limit,
    MetadataKey,
    Natural,
    Pause,
    Queue,
    RedisUrl,
    Seconds,
    Secret,
    Secrets,
    amounts,
    once_each,
    split,
)
from shared.signing_secrets import signing_problems, webhook_problems

REQUIRED = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_URL")
DAY_SECONDS = 86_400
# Nothing but ASCII can be sent in a header.
SECRET_KEY = re.compile(r"[sr]k_(test|live)_[!-~]+")
# Seconds to connect to Stripe or to the event service; a slower peer will rarely connect at all.
CONNECT_TIMEOUT_SECONDS = 3.0


class Settings(BaseSettings):
    """The settings of an installation; immutable, secrets masked in `repr`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    stripe_secret_key: Secret = Field(
        description="Stripe secret or restricted key (`sk_…`, `rk_…`)."
    )
    stripe_webhook_secret: Secrets = Field(
        description="Signing secret(s) of the webhook endpoint (`whsec_…`); several, separated by "
        "commas, while one is being rotated."
    )
    event_service_url: HttpUrl = Field(description="Base URL of the event service.")

    event_service_path: str = Field(
        "/api/billing/notifications", description="Path that receives notifications.", pattern=PATH
    )
    event_service_secret: Secrets = Field(
        (),
        description="Secret(s) that sign notifications, `whsec_<base64>` (Standard Webhooks); "
        "several, separated by commas, while one is being rotated.",
    )
    api_keys: BearerKeys = Field(
        (),
        description="Bearer keys for payments and refunds, `name:key` or `key`, separated by "
        "commas; keys of one name, and all keys without a name, belong to one caller. Required "
        "with a live Stripe key.",
    )
    operator_keys: BearerKeys = Field(
        (),
        description="Bearer keys for `/ops`, the console and metrics detail, `name:key` or `key`; "
        "the audit log records the name.",
    )
    caller_limits: Annotated[dict[str, CallerLimits], NoDecode] = Field(
        {},
        description="Limits of each caller by name, as JSON: "
        '`{"shop": {"accounts": ["own", "acct_1"], "refunds_per_hour": {"sgd": 500000}, '
        '"read_only": false}}`; a field that is left out sets no limit.',
    )
    bad_keys_per_minute: Count = Field(
        60,
        description="Requests with a wrong bearer key per minute and client address that are "
        "answered 401; more are answered 429.",
    )
    allow_insecure_event_service: bool = Field(
        False,
        description="Allow unsigned notifications, and notifications over http to another host, "
        "also with a live Stripe key.",
    )
    redis_url: RedisUrl = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis or Valkey (`redis://`, `rediss://`, `unix://`, `sentinel://`); "
        "without it `python app.py` starts an embedded Valkey.",
    )
    installation: str = Field(
        INSTALLATION,
        description="Namespace of every key and queue in Redis: one Redis may serve several "
        "installations of different names.",
        pattern=INSTALLATION_NAME,
    )
    redis_timeout_seconds: float = Field(
        3.0,
        description="Total deadline of one call to Redis. When it passes, a request is answered "
        "503, and a worker tries again later.",
        gt=0,
        le=30,
    )
    redis_replicas_required: int = Field(
        0,
        description="Replicas that must confirm an event or a refund job before its request is "
        "answered, and the `sequence` of a notification before it is sent. Set 1 with Sentinel: "
        "otherwise a fail-over can lose what was just accepted.",
        ge=0,
        le=16,
    )
    host: Address = Field("127.0.0.1", description="Address the API binds to.")
    port: int = Field(5001, description="Port of the API.", ge=0, le=65535)
    allowed_hosts: HostNames = Field(
        (),
        description="Host names under which the API and Flower answer, besides localhost (and the "
        "API's `HOST`); `*` allows any.",
    )
    data_dir: Path = Field(Path(".data"), description="Directory of the embedded Valkey's data.")

    stripe_api_base: HttpUrl | None = Field(
        None, description="URL of the sandbox, used instead of Stripe. Refused with a live key."
    )
    stripe_mode: Literal["test", "live"] | None = Field(
        None,
        description="Mode of the account, for processes without the Stripe key: they refuse to "
        "work on the Redis data of the other mode.",
    )
    stripe_timeout_seconds: float = Field(
        10.0, description="Deadline of one try of a call to Stripe.", gt=0, le=80
    )
    stripe_total_seconds: float = Field(
        20.0,
        description="Deadline of a whole call to Stripe: all tries and the pauses between them.",
        gt=0,
        le=120,
    )
    stripe_max_network_retries: int = Field(
        2, description="Repetitions of a failed call by the SDK, with the same key.", ge=0, le=5
    )
    stripe_rate_limit: Count = Field(
        100,
        description="Calls per second that Stripe allows to one account. All processes share "
        "them: payments come first, then look-ups, refunds last.",
    )
    stripe_endpoint_rate_limit: Count = Field(
        25, description="Calls per second that Stripe allows to one endpoint of an account."
    )
    event_service_timeout_seconds: float = Field(
        10.0, description="Deadline of one delivery attempt.", gt=0, le=30
    )
    webhook_tolerance_seconds: int = Field(
        300, description="Greatest age of a webhook signature that is accepted.", ge=1, le=3600
    )
    max_body_bytes: BodyBytes = Field(
        1_048_576, description="Largest request body; a larger one is answered 413."
    )
    max_waiting_events: Count = Field(
        200_000, description="Unprocessed events above which a webhook is answered 503."
    )
    max_waiting_refunds: Count = Field(
        50_000, description="Unfinished refund jobs above which a new one is answered 503."
    )
    event_max_attempts: Count = Field(
        30, description="Attempts at an event before it becomes a dead letter."
    )
    refund_max_attempts: Count = Field(
        30, description="Attempts at a refund job before it becomes a dead letter."
    )
    others_payments: Literal["tell", "list", "ignore"] = Field(
        "tell",
        description="What to do with payments on the account that this service did not make "
        "(but another shop, or a person in the dashboard): `tell` the event service, only `list` "
        "them, or `ignore` them. A payment of this service is recognised by its request, or by "
        "`event_id` or `user_id` in its metadata.",
    )
    refund_warned_up_to: Annotated[tuple[Limit, ...], NoDecode] = Field(
        (),
        description="Refund a payment at once when its card's issuer warns of fraud, if the amount "
        "not yet refunded is no more than this: `sgd:5000,usd:4000`, in the smallest unit. "
        "When it is not set, no payment is refunded because of a warning.",
    )
    refund_batch_max_payments: Natural = Field(
        1000, description="Payments above which a batch of refunds needs an operator's key."
    )
    refund_batch_max_amount: Annotated[tuple[Limit, ...], NoDecode] = Field(
        (),
        description="Amounts above which a batch of refunds needs an operator's key: "
        "`sgd:5000000,usd:4000000`, in the smallest unit; any amount in a currency that is not "
        "named needs one, too. When it is not set, amounts are not limited.",
    )
    refund_balance_wait_seconds: Seconds = Field(
        7 * DAY_SECONDS,
        description="How long a refund job waits for balance at Stripe before it fails.",
        ge=0,
    )
    notification_max_age_seconds: Seconds = Field(
        72 * 3600, description="Age at which a notification becomes a dead letter.", ge=1
    )
    retry_base_seconds: Pause = Field(1.0, description="First step of the exponential retry delay.")
    retry_cap_seconds: Pause = Field(3600.0, description="Longest retry delay.")
    payload_retention_seconds: Seconds = Field(
        DAY_SECONDS, description="How long the payload of a processed event is kept.", ge=0
    )
    tombstone_retention_seconds: Seconds = Field(
        31 * DAY_SECONDS,
        description="How long a finished event, notification or refund job is kept. Keep it above "
        "Stripe's 30 days, or reconciling processes old events again.",
        ge=3600,
    )
    payment_retention_seconds: Seconds = Field(
        180 * DAY_SECONDS,
        description="How long a payment's last known state and timeline are kept after its last "
        "change.",
        ge=3600,
    )
    indexed_metadata: Annotated[tuple[MetadataKey, ...], NoDecode] = Field(
        ("event_id", "user_id", "order_id"),
        description="Metadata keys by whose values payments can be listed (`GET /api/payments?"
        "event_id=…`), separated by commas; `event_id` must be among them, because batches of "
        "refunds need it.",
        max_length=10,
    )
    idempotency_retention_seconds: Seconds = Field(
        2 * DAY_SECONDS, description="How long an `Idempotency-Key` is kept.", ge=DAY_SECONDS
    )
    relay_interval_seconds: float = Field(
        0.5, description="Pause between two sweeps for due work.", gt=0, le=60
    )
    reconcile_interval_seconds: Pause = Field(
        300.0, description="Pause between two comparisons with Stripe's event list."
    )
    task_events: bool = Field(
        True,
        description="Send Celery's task events, without which Flower shows no tasks. They cost a "
        "worker about a sixteenth of its throughput.",
    )
    worker_queues: Annotated[tuple[Queue, ...], NoDecode] = Field(
        QUEUES,
        description="Queues that this worker process serves. Give `notifications` to a worker of "
        "its own, so that a slow event service does not delay other work.",
        min_length=1,
    )
    worker_concurrency: int = Field(16, description="Threads of one worker process.", ge=1, le=256)
    api_workers: int = Field(2, description="Processes of the API server.", ge=1, le=64)
    api_threads: int = Field(
        32,
        description="Threads of one API process for payments. Refunds have as many; operators' "
        "requests, reads and health checks have four each.",
        ge=1,
        le=256,
    )
    api_waiting: int = Field(
        32,
        description="Payment requests that may wait for a thread in one API process, and as many "
        "refund requests. One more is answered 503 at once and has no effect.",
        ge=0,
        le=10_000,
    )
    request_timeout_seconds: float = Field(
        25.0,
        description="Total deadline of a request with all its calls. When it passes, the answer "
        "is 503, and the caller learns the outcome by repeating the request with its "
        "`Idempotency-Key`. `Prefer: wait` sets the deadline of a refund request.",
        gt=1,
        le=120,
    )
    max_connections: int = Field(
        4096,
        description="Connections of one API process. When one more comes, the connection that has "
        "been without a request for the longest time is closed.",
        ge=16,
        le=1_000_000,
    )
    trusted_proxies: int = Field(
        0,
        description="Number of proxies in front of the API, each of which adds its client to "
        "`X-Forwarded-For`; with 0 the header is ignored.",
        ge=0,
        le=10,
    )
    bad_signatures_per_minute: Count = Field(
        60,
        description="Webhooks with a bad signature per minute and client address that are answered "
        "400; more are answered 429.",
    )
    heartbeat_file: Path | None = Field(
        None, description="File that the upkeep process touches at each sweep, for a health check."
    )
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(
        None, description="OTLP/HTTP endpoint for traces; when it is not set, none are made."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="Format of log lines: `json` or `text`."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest log level written."
    )

    @field_validator(
        "stripe_webhook_secret",
        "event_service_secret",
        "api_keys",
        "operator_keys",
        "refund_warned_up_to",
        "refund_batch_max_amount",
        "indexed_metadata",
        "worker_queues",
        "allowed_hosts",
        mode="before",
    )
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return split(value)

    @field_validator("indexed_metadata")
    @classmethod
    def _has_event_id(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "event_id" not in value:
            raise ValueError("event_id must be one of the keys")
        return value

    @field_validator("caller_limits", mode="before")
    @classmethod
    def _json(cls, value: object) -> object:
        return once_each(value) if isinstance(value, str) else value

    @property
    def mode(self) -> str:
        """Return the account's mode, `live` or `test`; empty when no setting says it."""
        key = self.stripe_secret_key.get_secret_value()
        if key:
            return "live" if "_live_" in key else "test"
        return self.stripe_mode or ""

    @property
    def warned_limits(self) -> dict[str, int]:
        """Return, by currency, the largest amount that is refunded at a fraud warning."""
        return amounts(self.refund_warned_up_to)

    @property
    def batch_limits(self) -> dict[str, int]:
        """Return, by currency, the amount above which a batch needs an operator's key."""
        return amounts(self.refund_batch_max_amount)

    @property
    def livemode(self) -> bool:
        """Say whether real money moves."""
        return self.mode == "live"

    @property
    def notifications_url(self) -> str:
        """Return the full URL that notifications are posted to."""
        return self.event_service_url + self.event_service_path


def load_settings(*processes: Process, env_file: str | EnvFile | None = ENV_FILE) -> Settings:
    """Read the environment over `.env` and return the settings, or report every problem at once.

    With `processes`, only the settings of these are read and needed: the secrets of others are
    empty, whatever the environment holds. Raises `Misconfigured` (an operator must act) whose text
    has one line per problem, which begins with the variable or the file.
    """
    settings, problems = read_settings(*processes, env_file=env_file)
    if problems:
        raise Misconfigured("\n".join(problems), code="settings_invalid")
    return settings


def read_settings(
    *processes: Process, env_file: str | EnvFile | None = ENV_FILE
) -> tuple[Settings, list[str]]:
    """Read as `load_settings` does, and list the problems; what is not valid is left empty."""
    own = secrets_of(processes or PROCESSES)
    withheld = {name.lower() for name in GUARDED - own} & set(Settings.model_fields)
    file = given_file(env_file)
    settings, problems = _read(file, {name: _NOTHING[name] for name in withheld})
    not_judged = {problem.split()[0] for problem in problems} | (GUARDED - own)
    problems += [line for line in _unsafe(settings) if line.split()[0] not in not_judged]
    problems += [*file.problems, *misspelling_problems(file.variables)]
    if problems:
        # Alone, a name in the shell is no reason to refuse; here it may be the one that is missing.
        problems += misspelling_problems(os.environ)
    return settings, sorted(set(problems))


def load_worker_settings(env_file: str | None = ENV_FILE) -> Settings:
    """Read the settings of a worker process: what it is given follows from the queues it serves.

    Raises `Misconfigured` as `load_settings` does.
    """
    file = given_file(env_file)
    nothing, _ = _read(file, _NOTHING)
    return load_settings(*roles_of(nothing.worker_queues), env_file=file)


def _read(file: EnvFile, withheld: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Read all; what is not valid is a problem and left empty, so that the rest can be judged."""
    fields = Settings.model_fields
    below = file.below(os.environ)
    values: dict[str, Any] = {name: below[name] for name in below.keys() & fields} | dict(withheld)
    try:
        return Settings(_env_file=None, **values), []
    except ValidationError as error:
        wrong = {str(item["loc"][0]).lower() for item in error.errors()}
        empty = {name: _NOTHING.get(name, fields[name].default) for name in wrong}
        problems = [in_words(item, fields) for item in error.errors()]
        return Settings(_env_file=None, **values | empty), problems


def misspelling_problems(variables: Iterable[str]) -> list[str]:
    """List misspelled variables, one line each, with the setting probably meant."""
    corrections = misspellings(variables, _known_names())
    return [
        f"{name} is not a setting: do you mean {setting}?" for name, setting in corrections.items()
    ]


def _known_names() -> set[str]:
    return {name.upper() for name in Settings.model_fields} | GUARDED | set(_OF_OTHERS)


def _description(name: str) -> str:
    return Settings.model_fields[name.lower()].description or ""


def _unsafe(settings: Settings) -> list[str]:
    """List settings that are valid but not safe."""
    problems = []
    key = settings.stripe_secret_key.get_secret_value()
    if settings.stripe_mode and key and settings.mode != settings.stripe_mode:
        problems.append(f"STRIPE_MODE is not valid: the Stripe key is of the {settings.mode} mode")
    if not SECRET_KEY.fullmatch(key):
        problems.append(
            "STRIPE_SECRET_KEY is not valid: a secret key starts with sk_test_, sk_live_, "
            "rk_test_ or rk_live_, and has no spaces"
        )
    if not settings.stripe_webhook_secret:
        problems.append(
            "STRIPE_WEBHOOK_SECRET is not set: " + _description("STRIPE_WEBHOOK_SECRET")
        )
    problems += webhook_problems(settings.stripe_webhook_secret)
    problems += signing_problems(settings.event_service_secret)
    problems += unknown_callers(settings.caller_limits, settings.api_keys)
    if settings.livemode:
        problems += live_problems(settings)
    if settings.livemode and not settings.api_keys:
        problems.append("API_KEYS is not set: with a live Stripe key the payment routes need it")
    if settings.livemode and settings.stripe_api_base:
        problems.append("STRIPE_API_BASE is not valid: a live key goes to Stripe and nowhere else")
    return problems


# Values of the settings that this process is not given.
_NOTHING: dict[str, Any] = {
    "stripe_secret_key": SecretStr(""),
    "stripe_webhook_secret": (),
    "event_service_url": "",
    "event_service_secret": (),
    "api_keys": (),
    "operator_keys": (),
}
# Variables that Flower, the sandbox, ./billing and app.py read.
_OF_OTHERS = (
    "BILLING_URL",
    "FLOWER_PORT",
    "RECEIVER_PORT",
    "RECEIVER_STATE",
    "SANDBOX_PORT",
    "SANDBOX_STATE",
    "SANDBOX_WEBHOOK_URL",
)
