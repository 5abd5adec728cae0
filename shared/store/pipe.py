"""One connection on which many callers' runs of a script go together: a group commit.

What is asked for while a write is under way goes in the next one, as one command. One, because
Redis writes to disk whenever it has read 16 KB of commands, not when it has read all that wait:
with `appendfsync always` eight events sent as eight commands cost two fsyncs, sixteen cost three.
Each caller gets the result of its own run, or `Unavailable`, within the time it was promised.
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

# Connecting takes some round trips, to Sentinels too; longer, and it is begun anew.
CONNECT_SECONDS = 10.0
# Runs of one write: a few milliseconds of Redis, so that others' reads come between.
MOST_AT_ONCE = 128


# Takes the result of a run.
Receiver = Callable[[Any | Unavailable], None]


@dataclass(slots=True)
class _Request:
    """One caller's run, and who takes its result until when."""

    call: Call
    receiver: Receiver
    ends_at: float


class Pipe:
    """Run a script for many callers in one event loop; lazy, connects when first needed."""

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
        """Run the script and give its result to the receiver, or `Unavailable` when there is none.

        After `Unavailable` it may have run. A receiver is a function, because a future and a task
        for each caller cost more than the command.
        """
        self._waiting.append(_Request(call, receiver, self._clock() + self._seconds))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def open(self) -> None:
        """Connect before anybody waits; a server that is away is looked for again when needed."""
        with contextlib.suppress(RedisError, OSError):
            await self._connected()

    async def close(self) -> None:
        """End the connection."""
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
                # By the loop, so that what one caller makes of its result is no other's trouble.
                loop.call_soon(request.receiver, outcome)

    async def _write(self, together: list[_Request]) -> list[Any]:
        """Send one group and give its results; once more when the connection was stale."""
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
        """Render the runs as the one command that is sent, and the wait for replicas."""
        keys, arguments = list[str](), list[Any]()
        for request in together:
            keys += request.call.flat_keys()
            arguments += (len(request.call.args), *request.call.args)
        commands = [_packed("EVALSHA", self._hash, len(keys), *keys, *arguments)]
        if self._replicas:
            commands.append(_packed("WAIT", self._replicas, REPLICATION_TIMEOUT_MS))
        return commands

    async def _connected(self) -> AbstractConnection:
        """Give the connection; who stops waiting for it leaves it being made for the next."""
        if self._ready is not None and self._ready.is_connected:
            return self._ready
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> AbstractConnection:
        """Connect, and make the script known to the server."""
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
        """End a connection whose answers nobody can tell apart any more."""
        if self._ready is not None:
            await self._ready.disconnect(nowait=True)
            self._ready = None


async def _results(connection: AbstractConnection, count: int) -> list[Any]:
    """Read each run's result; what Redis refuses as a whole is the result of each."""
    try:
        results: list[Any] = await connection.read_response()
    except ResponseError as refusal:
        return [refusal] * count
    return results


def _packed(*command: str | float) -> bytes:
    """Render a command as it is sent."""
    # hiredis's type says that a command has one part.
    packed: bytes = hiredis.pack_command(cast(Any, command))
    return packed
