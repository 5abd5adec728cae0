"""The types of settings in the environment: addresses, lists, limits, secrets."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from shared.http_url import http_url
from shared.redis_url import redis_address


def _http_url(value: str) -> str:
    # An empty variable is an unset one and never comes here: this is another process's.
    return http_url(value) if value else value


def _redis_url(value: str) -> str:
    redis_address(value)
    return value


def split(value: object) -> object:
    """Split a text at its commas; return any other value unchanged."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def amounts(limits: tuple[str, ...]) -> dict[str, int]:
    """Read limits (`sgd:5000`) as amounts by currency, in the smallest unit."""
    return {name: int(amount) for name, amount in (limit.split(":") for limit in limits)}


Queue = Literal["events", "refunds", "notifications", "upkeep"]
QUEUES: tuple[Queue, ...] = get_args(Queue)
HttpUrl = Annotated[str, AfterValidator(_http_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
Names = Annotated[tuple[str, ...], NoDecode]
PATH = r"^/"
INSTALLATION_NAME = r"^[a-z0-9][a-z0-9_-]{0,30}$"
# A currency and an amount in its smallest unit.
LIMIT = r"^[a-z]{3}:[1-9][0-9]{0,11}$"
Limit = Annotated[str, StringConstraints(pattern=LIMIT)]
# Metadata keys that Stripe accepts and that need no escapes in a query string.
METADATA_KEY = r"^[A-Za-z0-9_-]{1,40}$"
# Each pattern in words, for error messages.
FORMS = {
    PATH: "it begins with a slash",
    INSTALLATION_NAME: "it has up to 31 small letters, digits, - and _, and begins with none of "
    "the last two",
    LIMIT: "write each as a currency and an amount in its smallest unit: sgd:5000",
    METADATA_KEY: "each key has up to 40 letters, digits, - and _",
}
# Filters of lists of payments; each indexed key is one, too.
FILTERS = frozenset(
    ("account", "dead", "disputed", "email", "limit", "since", "starting_after", "status", "until")
)


def _indexable(key: str) -> str:
    if key in FILTERS:
        raise ValueError(f"{key} is a filter of payments already")
    return key


MetadataKey = Annotated[str, StringConstraints(pattern=METADATA_KEY), AfterValidator(_indexable)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]
