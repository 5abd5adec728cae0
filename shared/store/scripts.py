"""Access to Redis: plain reads and the atomic scripts.

Every state change is one script (`lua/`), which is safe to send twice, because redis-py sends a
command again after a broken connection. Each refusal or timeout of Redis becomes `Unavailable`, so
that no other module catches errors of Redis.

redis-py's client spends four times on a command what its connection does (50 and 13 microseconds of
CPU). So scripts and a few plain commands use the connections of the client's own pool themselves.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.sentinel import SentinelManagedConnection
from redis.utils import SENTINEL

from shared.deadline import remaining
from shared.errors import Inconsistent
from shared.keys import Keys
from shared.store import sources
from shared.store.refusals import not_replicated, unanswered
from shared.telemetry.tally import Tally

# Replicas on a good network confirm within a millisecond or two.
REPLICATION_TIMEOUT_MS = 1000
# Seconds for which a write that only serves the confirmation is kept, so that a person can see it.
CONFIRMED_MS = 60_000
# Entries kept of one payment's timeline and of one item's attempts: enough for a person to read.
TIMELINE_LIMIT = 500
ATTEMPTS_LIMIT = 100
# Most entries of the audit log: years of decisions.
AUDIT_LIMIT = 10_000
# Seconds in which work after its deadline may still record its outcome.
LAST_WORDS_SECONDS = 0.5
# Seconds. A socket does not accept a timeout of zero.
SHORTEST_SECONDS = 0.001


@dataclass(frozen=True)
class Call:
    """One run of a script: keys by name, a list for a name that ends in `*`.

    The script takes those that it declares; others may be at hand, as all of an item's are.
    """

    script: str
    keys: Mapping[str, str | Sequence[str]]
    args: Sequence[Any] = ()

    def flat_keys(self) -> list[str]:
        """Return the keys in the script's order. Raises `Inconsistent` when one is missing."""
        flat: list[str] = []
        for name in sources.plain_names(self.script):
            key = self.keys.get(name)
            if key is None:
                raise Inconsistent(f"{self.script}.lua takes {name}, not only {sorted(self.keys)}.")
            flat += [key] if isinstance(key, str) else key
        return flat


@contextmanager
def redis_errors() -> Iterator[None]:
    """Translate errors and timeouts of Redis into `Unavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unanswered(error) from error


def _by_hash(call: Call) -> tuple[Any, ...]:
    keys = call.flat_keys()
    return "EVALSHA", sources.script_hash(call.script), len(keys), *keys, *call.args


def _by_text(call: Call) -> tuple[Any, ...]:
    keys = call.flat_keys()
    return "EVAL", sources.script_source(call.script), len(keys), *keys, *call.args


def _evaluate(exchange: Callable[..., Any], call: Call) -> Any:
    """Run a script by its hash, and by its text on a Redis that does not know it (any more)."""
    try:
        return exchange(*_by_hash(call))
    except NoScriptError:
        return exchange(*_by_text(call))


def _evaluate_together(exchange: Callable[..., Any], calls: Sequence[Call]) -> list[Any]:
    """Run one script for each of some calls in one command, as `_evaluate` does."""
    name, keys, args = calls[0].script, list[str](), list[Any]()
    for call in calls:
        keys += call.flat_keys()
        args += (len(call.args), *call.args)
    try:
        answer = exchange("EVALSHA", sources.together_hash(name), len(keys), *keys, *args)
    except NoScriptError:
        answer = exchange("EVAL", sources.together_source(name), len(keys), *keys, *args)
    return cast(list[Any], answer)


def _all(results: list[Any]) -> list[Any]:
    """Return the results of several scripts, or raise the first error among them."""
    for result in results:
        if isinstance(result, RedisError):
            raise result
    return results


class Store:
    """Run the scripts and the plain reads; one per process, safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys | None = None, replicas_required: int = 0) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self.tally = Tally()
        self.replicas_required = replicas_required
        self._line = Line(redis)

    def run(self, call: Call) -> Any:
        """Run a script atomically. Raises `Unavailable`; then it may or may not have run."""
        with redis_errors():
            return _evaluate(self._line.exchange, call)

    def run_together(self, calls: Sequence[Call]) -> list[Any]:
        """Run one script for each of some calls in one command, which is written to disk once.

        Redis does nothing else meanwhile, so their number is the caller's to limit. Each run is for
        itself: one that fails undoes no other. Raises `Unavailable`, also when only one of them
        failed; then any of them may have run.
        """
        with redis_errors():
            return _all(_evaluate_together(self._line.exchange, calls) if calls else [])

    def run_each(self, calls: Sequence[Call]) -> list[Any]:
        """Run some scripts, in any order, in one round trip, which is written to disk once.

        Each run is for itself: one that fails stops no other. Raises `Unavailable`, also when only
        one of them failed; then any of them may have run.
        """
        with redis_errors():
            results = self._line.exchange_all([_by_hash(call) for call in calls])
            for place, result in enumerate(results):
                if isinstance(result, NoScriptError):
                    (results[place],) = self._line.exchange_all([_by_text(calls[place])])
            return _all(results)

    def run_durably(self, call: Call) -> Any:
        """Run a script and wait until the required replicas have its writes.

        Raises `Unavailable` when they do not confirm in time; the writes stay, and a repeated run
        finds them.
        """
        if not self.replicas_required:
            return self.run(call)
        with redis_errors():
            result, confirmed = _evaluate(self._exchange_and_wait, call)
        if confirmed < self.replicas_required:
            raise not_replicated()
        return result

    def confirm(self) -> None:
        """Wait until the required replicas have all writes so far, of any process.

        Replication keeps the order of writes, so a replica with the latest has all. Raises
        `Unavailable`.
        """
        self.run_durably(Call("put", {"made": self.keys.confirmed()}, ["1", CONFIRMED_MS]))

    def _exchange_and_wait(self, *command: Any) -> list[Any]:
        pipe = self.redis.pipeline(transaction=False)
        pipe.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py's
        pipe.wait(self.replicas_required, REPLICATION_TIMEOUT_MS)
        return pipe.execute()

    def put(self, name: str, value: str, seconds: int) -> None:
        """Store a small text for a while, even when Redis is full, because work needs it to end.

        Raises `Unavailable`.
        """
        self.run(Call("put", {"made": name}, [value, seconds * 1000]))

    def get(self, name: str) -> str | None:
        """Read a small text. Raises `Unavailable`."""
        with redis_errors():
            return cast(str | None, self._line.exchange("GET", name))

    def hash(self, name: str) -> dict[str, str]:
        """Read a whole hash; empty when there is none. Raises `Unavailable`."""
        with redis_errors():
            return cast(dict[str, str], self.redis.hgetall(name))

    def fields(self, name: str, *fields: str) -> list[str | None]:
        """Read some fields of a hash, None for each that is missing. Raises `Unavailable`."""
        with redis_errors():
            return cast(list[str | None], self._line.exchange("HMGET", name, *fields))

    def pop(self, name: str) -> str | None:
        """Remove and return the right end of a list, None when it is empty.

        Raises `Unavailable`; the element may then have been removed, and is lost.
        """
        with redis_errors():
            return cast(str | None, self._line.exchange("RPOP", name))

    def put_back(self, name: str, value: str) -> None:
        """Put an element that `pop` returned back, byte for byte. Raises `Unavailable`."""
        with redis_errors():
            self._line.exchange("RPUSH", name, value.encode(errors="surrogateescape"))

    def entries(self, name: str) -> list[dict[str, Any]]:
        """Read a list of JSON objects, oldest first. Raises `Unavailable`."""
        with redis_errors():
            raw = cast(list[str], self.redis.lrange(name, 0, -1))
        return [json.loads(item) for item in raw]

    def now_ms(self) -> int:
        """Read Redis's clock, the only one that schedules anything, in milliseconds.

        Raises `Unavailable`.
        """
        with redis_errors():
            seconds, micros = self.redis.time()
        return seconds * 1000 + micros // 1000


class Line:
    """Send commands and read answers; safe to share: each caller uses a connection alone."""

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        self._idle: deque[Any] = deque()  # redis-py's connections, whose methods are not typed
        self._pid = os.getpid()

    def exchange(self, *command: str | bytes | float) -> Any:
        """Send a command and give its answer; a connection that broke is replaced once.

        Raises redis-py's errors. A command must be safe to send twice.
        """
        (answer,) = self.exchange_all([command])
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def exchange_all(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands together and give an answer or a `ResponseError` for each.

        Raises redis-py's other errors. Each command must be safe to send twice.
        """
        connection = self._take()
        try:
            try:
                return _exchange(connection, commands)
            except Broken:
                connection.disconnect()
                return _exchange(connection, commands)
        finally:
            self._idle.append(connection)

    def _take(self) -> Any:
        if self._pid != os.getpid():  # a fork shares its parent's sockets, and must not use them
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.make_connection()


def _exchange(connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    try:
        # Nothing to do for one that is connected; else Sentinels are asked for the primary here,
        # and nowhere else.
        connection.connect()
        connection.send_packed_command(connection.pack_commands(commands))
        return [_answer(connection) for _ in commands]
    except BaseException:
        # The answers may still come, and would be taken for those of the next commands.
        connection.disconnect()
        raise


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error  # an answer like any other: the connection is at the next one


class _InTime:
    """A connection with a deadline for each call, including handshake and health check.

    A call begins with `send_packed_command` from outside. An earlier deadline of the current work
    counts, plus a moment in which the work can still record its outcome.
    """

    def __init__(self, *args: Any, total_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._total_seconds = total_seconds
        self._ends_at = math.inf

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if check_health:  # neither the handshake nor a health check, which are parts of a call
            left = remaining()
            limit = self._total_seconds if left is None else min(self._total_seconds, left)
            self._ends_at = time.monotonic() + max(limit, LAST_WORDS_SECONDS)
        super().send_packed_command(command, check_health)  # type: ignore[misc]  # of the mixed-in

    def _send_ping(self) -> None:
        """Check the connection: a refusal is an answer, too.

        A Redis that cannot save its data refuses PING like a write (MISCONF), and answers reads.
        """
        with suppress(ResponseError):
            super()._send_ping()  # type: ignore[misc]  # of the mixed-in

    def disconnect(self, *args: Any, **options: Any) -> None:
        self._ends_at = math.inf  # the next handshake is no part of the call that ended
        super().disconnect(*args, **options)  # type: ignore[misc]  # see above

    def read_response(self, *args: Any, timeout: Any = SENTINEL, **options: Any) -> Any:
        if timeout is SENTINEL and self._ends_at < math.inf:
            timeout = max(SHORTEST_SECONDS, self._ends_at - time.monotonic())
        return super().read_response(*args, timeout=timeout, **options)  # type: ignore[misc]  # see above


class Plain(_InTime, Connection):
    """A connection over TCP."""


class Tls(_InTime, SSLConnection):
    """A connection over TLS."""


class Socket(_InTime, UnixDomainSocketConnection):
    """A connection over a socket file."""


class Managed(_InTime, SentinelManagedConnection):
    """A connection to the primary that Sentinels name."""
