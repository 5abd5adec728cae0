"""The types of settings in the environment: addresses, lists, limits, secrets."""

from __future__ import annotations

import json
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from shared.bearer_keys import ACCOUNT, CURRENCY
from shared.hosts import ANY_HOST, without_brackets
from shared.http_url import http_url, is_host
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


def once_each(text: str) -> object:
    """Read JSON in which no name comes twice, because one of them would be ignored.

    Raises `ValueError`.
    """
    return json.loads(text, object_pairs_hook=_once_each)


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"has {name} twice")
    return dict(pairs)


def amounts(limits: tuple[str, ...]) -> dict[str, int]:
    """Read limits (`sgd:5000`) as amounts by currency, in the smallest unit."""
    return {name: int(amount) for name, amount in (limit.split(":") for limit in limits)}


Queue = Literal["events", "refunds", "notifications", "upkeep"]
QUEUES: tuple[Queue, ...] = get_args(Queue)
HttpUrl = Annotated[str, AfterValidator(_http_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
# More than any installation needs; Redis and Lua hold it exactly.
MOST = 1_000_000_000
# Ten years in seconds: as good as for ever, and Redis can add it to its clock.
LONGEST_SECONDS = 315_360_000
# The bodies of all requests of one process may have 64 MB together (`api/http1.py`).
MOST_BYTES = 64 * 1024 * 1024
Natural = Annotated[int, Field(ge=0, le=MOST)]
Count = Annotated[int, Field(ge=1, le=MOST)]
# Without a lower bound: pydantic keeps only one of two, and each setting has its own.
Seconds = Annotated[int, Field(le=LONGEST_SECONDS)]
BodyBytes = Annotated[int, Field(ge=1024, le=MOST_BYTES)]
Pause = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]
# Characters of a URL as it is sent, without those that end its path.
PATH = r"^/[!\"$-\[\]-~]*$"
INSTALLATION_NAME = r"^[a-z0-9][a-z0-9_-]{0,30}$"
# A currency and an amount in its smallest unit.
LIMIT = r"^[a-z]{3}:[1-9][0-9]{0,11}$"
Limit = Annotated[str, StringConstraints(pattern=LIMIT)]
# Metadata keys that Stripe accepts and that need no escapes in a query string.
METADATA_KEY = r"^[A-Za-z0-9_-]{1,40}$"
# Each pattern in words, for error messages.
FORMS = {
    PATH: "it begins with a slash and has only characters that a URL can have: others are "
    "written as %20",
    INSTALLATION_NAME: "it has up to 31 small letters, digits, - and _, and begins with none of "
    "the last two",
    LIMIT: "write each as a currency and an amount in its smallest unit: sgd:5000",
    ACCOUNT: "an account is own or acct_…",
    CURRENCY: "a currency has three letters",
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


def _host_name(value: str) -> str:
    if value == ANY_HOST:
        return value
    name = without_brackets(value.lower())
    if not is_host(name):
        raise ValueError("write names only, without a scheme, a port or a path: pay.example.com")
    return name


def _address(value: str) -> str:
    name = without_brackets(value.lower())
    if not is_host(name):
        raise ValueError("write an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them")
    return name


def _bearer_key(entry: SecretStr) -> SecretStr:
    """Refuse an entry that nobody can show, or that anybody can guess: an empty key."""
    text = entry.get_secret_value()
    if text.startswith(":") or (text.endswith(":") and text.count(":") == 1):
        raise ValueError("an entry is name:key or key, and this one has no name or no key")
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a key has ASCII characters only, as a header carries no others")
    return entry


Address = Annotated[str, AfterValidator(_address)]
HostNames = Annotated[tuple[Annotated[str, AfterValidator(_host_name)], ...], NoDecode]
BearerKeys = Annotated[tuple[Annotated[SecretStr, AfterValidator(_bearer_key)], ...], NoDecode]
MetadataKey = Annotated[str, StringConstraints(pattern=METADATA_KEY), AfterValidator(_indexable)]
Secret = Annotated[
    SecretStr, AfterValidator(lambda value: SecretStr(value.get_secret_value().strip()))
]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]
