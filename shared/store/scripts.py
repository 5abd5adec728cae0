"""The one door to Redis: plain reads and the atomic scripts.

Every state change is one script (`lua/`), written to be safe when it is sent twice, because
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
from redis.commands.core import Script
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.telemetry.tally import Tally

LUA = Path(__file__).parent / "lua"
RETRY_AFTER_SECONDS = 5
# Replicas on a good network confirm within a millisecond or two.
REPLICATION_TIMEOUT_MS = 1000
# Entries kept of one payment's timeline and of one item's attempts: enough for a person to read.
TIMELINE_LIMIT = 500
ATTEMPTS_LIMIT = 100


@contextmanager
def redis_errors() -> Iterator[None]:
    """Translate what Redis refuses, or does not answer, into `Unavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unanswered() from error


def unanswered() -> Unavailable:
    """Say that Redis refused something or did not answer."""
    return Unavailable(
        "The store did not take or answer this; try again.",
        code="store_unavailable",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        outcome_known=False,
    )


def not_replicated() -> Unavailable:
    """Say that what was written is not yet where it has to be."""
    return Unavailable(
        "The store's replicas have not confirmed this; try again.",
        code="store_not_replicated",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        outcome_known=False,
    )


@cache
def script_source(name: str) -> str:
    """Assemble a script: its flags line, the shared prelude, its body."""
    flags, _, body = (LUA / f"{name}.lua").read_text().partition("\n")
    return "\n".join((flags, (LUA / "prelude.lua").read_text(), body))


class Store:
    """Run the scripts and the plain reads; one per process, safe to share between threads."""

    def __init__(self, redis: Redis, replicas_required: int = 0) -> None:
        self.redis = redis
        self.tally = Tally()
        self._replicas = replicas_required
        self._scripts: dict[str, Script] = {}

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Run a script atomically. Raises `Unavailable`; then it may or may not have run."""
        with redis_errors():
            return self._script(name)(keys=list(keys), args=list(args))

    def run_durably(self, name: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Run a script and wait until the required replicas have what it wrote.

        Raises `Unavailable` when they have not in time; what was written stays, and running the
        script again finds it.
        """
        if not self._replicas:
            return self.run(name, keys, args)
        with redis_errors():
            pipe = self.redis.pipeline(transaction=False)
            self._script(name)(keys=list(keys), args=list(args), client=pipe)
            pipe.wait(self._replicas, REPLICATION_TIMEOUT_MS)
            result, confirmed = pipe.execute()
        if confirmed < self._replicas:
            raise not_replicated()
        return result

    def _script(self, name: str) -> Script:
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self.redis.register_script(script_source(name))
        return script

    def put(self, name: str, value: str, seconds: int) -> None:
        """Keep a small text for a while, even in a full store: work under way needs it to end."""
        self.run("put", [name], [value, seconds * 1000])

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
