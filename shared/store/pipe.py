"""Run a script for many callers over one connection, several runs in one command: a group commit.

Runs that are requested during a write are sent together in the next one, as one command. One,
because Redis writes to disk whenever it has read 16 KB of commands, not when it has read all that
wait: with `appendfsync always`, eight events sent as eight commands cost two fsyncs, sixteen cost
three. Each caller gets the result of its own run, or `Unavailable`, within its time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import NoScriptError, RedisError, ResponseError

from shared.errors import Unavailable
from shared.store.refusals import not_replicated, unanswered
from shared.store.scripts import REPLICATION_TIMEOUT_MS, Call
from shared.store.sources import together_source

# Time limit for connecting, which takes some round trips, also to Sentinels.
CONNECT_SECONDS = 10.0
# Most runs in one command: they occupy Redis for a few milliseconds, and then others get a turn.
MOST_AT_ONCE = 128


# A function that takes the result of a run.
Receiver = Callable[[Any | Unavailable], None]


@dataclass(slots=True)
class _Request:
    """One caller's run, the receiver of its result, and its deadline (the event loop's clock)."""

    call: Call
    receiver: Receiver
    ends_at: float


class Pipe:
    """Run a script for many callers in one event loop; connects at the first run or `open`.

    `seconds` is the time limit of each run, including its wait in the queue.
    """

    def __init__(self, client: Redis, script: str, replicas_required: int, seconds: float) -> None:
        self._client = client
        self._source = together_source(script)
        self._hash = hashlib.sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._replicas = replicas_required
        self._seconds = seconds
        self._clock = asyncio.get_running_loop().time
        self._connection: AbstractConnection | None = None
        self._waiting: list[_Request] = []
        self._writer: asyncio.Task[None] | None = None
        self._ready: AbstractConnection | None = None
        self._connecting: asyncio.Task[AbstractConnection] | None = None

    def send(self, call: Call, receiver: Receiver) -> None:
        """Run the script, then call the receiver with its result, or with `Unavailable`.

        Raises nothing. After `Unavailable` the script may have run. A receiver is a function,
        because a future and a task for each caller cost more than the command.
        """
        self._waiting.append(_Request(call, receiver, self._clock() + self._seconds))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def open(self) -> None:
        """Connect in advance. Raises nothing: if Redis is unavailable, the next run connects."""
        with contextlib.suppress(RedisError, OSError):
            await self._connected()

    async def close(self) -> None:
        """Close the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            await self._connection.disconnect()
        await self._client.aclose()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                waiting = self._waiting
                together, self._waiting = waiting[:MOST_AT_ONCE], waiting[MOST_AT_ONCE:]
                await self._write_in_time(together)
        finally:
            self._writer = None

    async def _write_in_time(self, together: list[_Request]) -> None:
        outcomes: list[Any] = []
        try:
            async with asyncio.timeout_at(together[0].ends_at):
                outcomes = await self._write(together)
        except (RedisError, OSError) as error:
            outcomes = [unanswered(error)] * len(together)
            await self._drop()
        finally:
            loop = asyncio.get_running_loop()
            if not outcomes:  # stopped before there were any
                outcomes = [unanswered()] * len(together)
            for request, outcome in zip(together, outcomes, strict=True):
                # Called by the loop, so that an error in one receiver does not affect the others.
                loop.call_soon(request.receiver, outcome)

    async def _write(self, together: list[_Request]) -> list[Any]:
        """Send one group and return its results; retry once if the connection was stale."""
        fresh = self._ready is None or not self._ready.is_connected
        try:
            return await self._exchange(together)
        except (Broken, NoScriptError):
            if fresh:
                raise
            await self._drop()
            return await self._exchange(together)

    async def _exchange(self, together: list[_Request]) -> list[Any]:
        connection = await self._connected()
        await connection.send_packed_command(self._packed(together), check_health=False)
        results = await _results(connection, len(together))
        if self._replicas and await connection.read_response() < self._replicas:
            return [not_replicated()] * len(together)
        if isinstance(results[0], NoScriptError):
            raise results[0]
        return [unanswered(one) if isinstance(one, Exception) else one for one in results]

    def _packed(self, together: list[_Request]) -> list[bytes]:
        """Encode the runs as one command, followed by the wait for replicas."""
        keys, arguments = list[str](), list[Any]()
        for request in together:
            keys += request.call.flat_keys()
            arguments += (len(request.call.args), *request.call.args)
        commands = [_packed("EVALSHA", self._hash, len(keys), *keys, *arguments)]
        if self._replicas:
            commands.append(_packed("WAIT", self._replicas, REPLICATION_TIMEOUT_MS))
        return commands

    async def _connected(self) -> AbstractConnection:
        """Return the connection; a caller that stops waiting does not cancel its creation."""
        if self._ready is not None and self._ready.is_connected:
            return self._ready
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> AbstractConnection:
        """Connect, and load the script into Redis."""
        async with asyncio.timeout(CONNECT_SECONDS):
            if self._connection is None:
                pool = self._client.connection_pool
                self._connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py's
            else:
                await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
            connection = self._connection
            load = _packed("SCRIPT", "LOAD", self._source)
            await connection.send_packed_command(load, check_health=False)
            await connection.read_response()
        self._ready = connection
        return connection

    async def _drop(self) -> None:
        """Close a connection whose next answers could not be assigned to their runs."""
        if self._ready is not None:
            await self._ready.disconnect(nowait=True)
            self._ready = None


async def _results(connection: AbstractConnection, count: int) -> list[Any]:
    """Read each run's result; an error for the whole command is the result of each run."""
    try:
        results: list[Any] = await connection.read_response()
    except ResponseError as refusal:
        return [refusal] * count
    return results


def _packed(*command: str | float) -> bytes:
    """Encode a command for the connection."""
    # hiredis declares the type of a command with one part only.
    packed: bytes = hiredis.pack_command(cast(Any, command))
    return packed
