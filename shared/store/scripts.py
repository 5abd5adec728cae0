"""Access to Redis: plain reads and the atomic scripts.

Every state change is one script (`lua/`), which is safe to send twice, because redis-py sends a
command again after a broken connection. Each refusal or timeout of Redis becomes `Unavailable`, so
that no other module catches errors of Redis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.exceptions import AuthenticationError as Login
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from shared.errors import Inconsistent, Unavailable
from shared.keys import Keys, entry_of
from shared.store.line import Line
from shared.telemetry.tally import Tally

LUA = Path(__file__).parent / "lua"
PRELUDE = "prelude"
RETRY_AFTER_SECONDS = 5
# Replicas on a good network confirm within a millisecond or two.
REPLICATION_TIMEOUT_MS = 1000
# Seconds for which a write that only serves the confirmation is kept, so that a person can see it.
CONFIRMED_MS = 60_000
# Entries kept of one payment's timeline and of one item's attempts: enough for a person to read.
TIMELINE_LIMIT = 500
ATTEMPTS_LIMIT = 100
# Redis says in a sentence what it refuses; a script's error has its whole trace.
LONGEST_REFUSAL = 160
# Runs `once` for each part of KEYS and ARGV. An error is the result of its own part alone.
TOGETHER = """
local results, argument = {}, 1
for key = 1, #KEYS, keys_each do
  local last = argument + ARGV[argument]
  local own = { unpack(ARGV, argument + 1, last) }
  local done, result = pcall(once, { unpack(KEYS, key, key + keys_each - 1) }, own)
  if not done and type(result) ~= 'table' then result = { err = result } end
  results[#results + 1] = result or false
  argument = last + 1
end
return results
"""
REFUSALS: Mapping[type[Exception], str] = {
    NoPermissionError: "NOPERM",
    Login: "WRONGPASS",
    ReadOnlyError: "READONLY",
}


@dataclass(frozen=True)
class Call:
    """One run of a script: keys by name, a list for a name that ends in `*`.

    The script takes those that it declares; others may be at hand, as all of an item's are.
    """

    script: str
    keys: Mapping[str, str | Sequence[str]]
    args: Sequence[Any] = ()

    def flat_keys(self) -> list[str]:
        """Give the keys in the script's order. Raises `Inconsistent` when one is missing."""
        flat: list[str] = []
        for name in _plain_names(self.script):
            given = self.keys.get(name)
            if given is None:
                raise Inconsistent(f"{self.script}.lua takes {name}, not only {sorted(self.keys)}.")
            flat += [given] if isinstance(given, str) else given
        return flat


@contextmanager
def redis_errors() -> Iterator[None]:
    """Translate errors and timeouts of Redis into `Unavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unanswered(error) from error


def unanswered(error: Exception | None = None) -> Unavailable:
    """Build the error for a Redis that did not answer, or that refused, with its own reason."""
    refusal = refusal_of(error)
    return Unavailable(
        f"Redis is unavailable ({refusal}); try again."
        if refusal
        else "Redis is unavailable; try again.",
        code="store_unavailable",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        outcome_known=False,
    )


def refusal_of(error: Exception | None) -> str:
    """Give Redis's refusal in one line (`WRONGPASS …`, `NOPERM …`); empty for an outage.

    redis-py cuts off the code of an error that has a class of its own.
    """
    if isinstance(error, BusyLoadingError) or not isinstance(error, (ResponseError, Login)):
        return ""
    text = " ".join(str(error).split())[:LONGEST_REFUSAL]
    for kind, code in REFUSALS.items():
        if isinstance(error, kind) and not text.startswith((code, "NOAUTH")):
            return f"{code} {text}"
    return text


def not_replicated() -> Unavailable:
    """Build the error for a write that too few replicas have confirmed."""
    return Unavailable(
        "Redis has not replicated this in time; try again.",
        code="store_not_replicated",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        outcome_known=False,
    )


def script_names() -> list[str]:
    """List the scripts."""
    return sorted(path.stem for path in LUA.glob("*.lua") if path.stem != PRELUDE)


@cache
def key_names(name: str) -> tuple[str, ...]:
    """Read the names of a script's keys from its second line; a last one with `*` takes the rest.

    Raises `Inconsistent` for a name that is no entry of the schema (`shared/keys.py`).
    """
    second = (LUA / f"{name}.lua").read_text().splitlines()[1]
    names = tuple(second.removeprefix("-- KEYS").split())
    unknown = [n for n in names if entry_of(n.removesuffix("*")) is None]
    if unknown or any(n.endswith("*") for n in names[:-1]) or not second.startswith("-- KEYS "):
        raise Inconsistent(f"{name}.lua does not declare its keys: {second}")
    return names


@cache
def _plain_names(name: str) -> tuple[str, ...]:
    return tuple(key.removesuffix("*") for key in key_names(name))


@cache
def script_source(name: str) -> str:
    """Assemble a script: its flags line, its keys by name, the shared prelude, its body."""
    flags, _, body = (LUA / f"{name}.lua").read_text().partition("\n")
    return "\n".join((flags, _named_keys(name), (LUA / f"{PRELUDE}.lua").read_text(), body))


@cache
def script_hash(name: str) -> str:
    """Give the hash under which Redis knows a script."""
    return hashlib.sha1(script_source(name).encode(), usedforsecurity=False).hexdigest()


@cache
def together_source(name: str) -> str:
    """Assemble a script that runs another several times, each run on its own.

    KEYS are those of one time after those of another; ARGV has before each time's arguments their
    number. Returns a result for each: a run that fails does not affect the next.
    """
    flags, _, body = (LUA / f"{name}.lua").read_text().partition("\n")
    keys = len(key_names(name))
    prelude = (LUA / f"{PRELUDE}.lua").read_text()
    once = f"local function once(KEYS, ARGV)\n{_named_keys(name)}\n{body}\nend"
    return "\n".join((flags, prelude, once, f"local keys_each = {keys}", TOGETHER))


def _named_keys(name: str) -> str:
    names = key_names(name)
    single = [n for n in names if not n.endswith("*")]
    members = [f"{n} = KEYS[{number}]" for number, n in enumerate(single, start=1)]
    if len(single) < len(names):
        members.append(f"{names[-1].removesuffix('*')} = {{ unpack(KEYS, {len(names)}) }}")
    return f"local key = {{ {', '.join(members)} }}"


@cache
def _together_hash(name: str) -> str:
    return hashlib.sha1(together_source(name).encode(), usedforsecurity=False).hexdigest()


def _evaluate(exchange: Callable[..., Any], call: Call) -> Any:
    """Run a script by its hash, and by its text on a Redis that does not know it (any more)."""
    keys = call.flat_keys()
    try:
        return exchange("EVALSHA", script_hash(call.script), len(keys), *keys, *call.args)
    except NoScriptError:
        return exchange("EVAL", script_source(call.script), len(keys), *keys, *call.args)


def _evaluate_together(exchange: Callable[..., Any], calls: Sequence[Call]) -> list[Any]:
    """Run one script for each of some calls in one command, as `_evaluate` does."""
    name, keys, args = calls[0].script, list[str](), list[Any]()
    for call in calls:
        keys += call.flat_keys()
        args += (len(call.args), *call.args)
    try:
        answer = exchange("EVALSHA", _together_hash(name), len(keys), *keys, *args)
    except NoScriptError:
        answer = exchange("EVAL", together_source(name), len(keys), *keys, *args)
    return cast(list[Any], answer)


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
            results = _evaluate_together(self._line.exchange, calls) if calls else []
            for result in results:
                if isinstance(result, RedisError):
                    raise result
        return results

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
