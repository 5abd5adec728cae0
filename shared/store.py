"""The one door to Redis: a connection with bounded waits, and the atomic scripts.

Every state change is one script (`shared/lua/`), written to be safe when it is sent twice, because
redis-py re-sends once after a broken connection. Whatever Redis refuses or cannot answer in time
leaves here as `Unavailable`: nobody outside catches a Redis error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.errors import Unavailable
from shared.settings import Settings

LUA = Path(__file__).parent / "lua"
PREFIX = "billing:"
# A request waits at most about 2 x (1 + 2) s for a Redis that hangs; Stripe waits 10 s for us.
CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 2.0
HEALTH_CHECK_SECONDS = 10
RETRY_AFTER_SECONDS = 5
# Entries kept of one payment's timeline and of one item's attempts: enough for a person to read.
TIMELINE_LIMIT = 500
ATTEMPTS_LIMIT = 100


def key(*parts: str) -> str:
    """Name a key of ours: `billing:part:part`."""
    return PREFIX + ":".join(parts)


def connect(settings: Settings, client_name: str) -> Redis:
    """Give a lazy, pooled client whose every call ends within seconds."""
    return Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_timeout=ANSWER_TIMEOUT_SECONDS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=HEALTH_CHECK_SECONDS,
        client_name=client_name,
    )


@contextmanager
def redis_errors() -> Iterator[None]:
    """Translate what Redis refuses, or does not answer, into `Unavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(
            "The store did not take or answer this; try again.",
            code="store_unavailable",
            retry_after_seconds=RETRY_AFTER_SECONDS,
            outcome_known=False,
        ) from error


@cache
def script_source(name: str) -> str:
    """Assemble a script: its flags line, the shared prelude, its body."""
    flags, _, body = (LUA / f"{name}.lua").read_text().partition("\n")
    return "\n".join((flags, (LUA / "prelude.lua").read_text(), body))


class Store:
    """Run the scripts and the plain reads; one per process, safe to share between threads."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._scripts: dict[str, Script] = {}

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Run a script atomically. Raises `Unavailable`; then it may or may not have run."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self.redis.register_script(script_source(name))
        with redis_errors():
            return script(keys=list(keys), args=list(args))

    def hash(self, name: str) -> dict[str, str]:
        """Read a whole hash; empty when there is none."""
        with redis_errors():
            return cast(dict[str, str], self.redis.hgetall(name))

    def fields(self, name: str, *fields: str) -> list[str | None]:
        """Read some fields of a hash, None for each that is missing."""
        with redis_errors():
            return cast(list[str | None], self.redis.hmget(name, list(fields)))

    def entries(self, name: str) -> list[dict[str, Any]]:
        """Read a list of JSON objects, oldest first."""
        with redis_errors():
            raw = cast(list[str], self.redis.lrange(name, 0, -1))
        return [json.loads(item) for item in raw]

    def now_ms(self) -> int:
        """Read the store's clock, the only one that schedules anything, in milliseconds."""
        with redis_errors():
            seconds, micros = self.redis.time()
        return seconds * 1000 + micros // 1000


def compact(value: Any) -> str:
    """Render JSON as it is stored: no spaces, UTF-8 as it is, stable order of keys."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
