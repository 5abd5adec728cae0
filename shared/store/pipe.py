"""One connection on which many callers' scripts go together: a group commit.

What is asked for while a write is under way goes in the next one, in one round trip; with
`appendfsync always` Redis then answers all of it after one fsync. Each caller gets the result of
its own script, or `Unavailable`, within the time it was promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import NoScriptError, RedisError, ResponseError

from shared.errors import Unavailable
from shared.store.scripts import (
    REPLICATION_TIMEOUT_MS,
    Call,
    not_replicated,
    script_source,
    unanswered,
)

Command = tuple[str | int | float, ...]
# Connecting takes some round trips, to Sentinels too; longer, and it is begun anew.
CONNECT_SECONDS = 10.0
# Scripts of one write: a few milliseconds of Redis, so that others' reads come between.
MOST_AT_ONCE = 128


@dataclass(slots=True)
class _Request:
    """One caller's script, and who waits for its result until when."""

    command: Command
    answer: asyncio.Future[Any]
    ends_at: float


class Pipe:
    """Run scripts for many coroutines of one event loop; lazy, connects when it is first needed."""

    def __init__(self, client: Redis, replicas_required: int, seconds: float) -> None:
        self._client = client
        self._replicas = replicas_required
        self._seconds = seconds
        self._connection: AbstractConnection | None = None
        self._waiting: list[_Request] = []
        self._writer: asyncio.Task[None] | None = None
        self._ready: AbstractConnection | None = None
        self._connecting: asyncio.Task[AbstractConnection] | None = None
        self._hashes: dict[str, str] = {}

    async def run(self, call: Call) -> Any:
        """Run a script and give its result.

        Raises `Unavailable` when it failed or was not answered in time; then it may have run.
        """
        loop = asyncio.get_running_loop()
        keys = call.flat_keys()
        command: Command = ("EVALSHA", self._hash(call.script), len(keys), *keys, *call.args)
        request = _Request(command, loop.create_future(), loop.time() + self._seconds)
        self._waiting.append(request)
        if self._writer is None:
            self._writer = loop.create_task(self._write_all())
        return await request.answer

    async def open(self, *scripts: str) -> None:
        """Connect before anybody waits; a server that is away is looked for again when needed."""
        for script in scripts:
            self._hash(script)
        with contextlib.suppress(RedisError, OSError):
            await self._connected()

    async def close(self) -> None:
        """End the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            await self._connection.disconnect()
        await self._client.aclose()

    def _hash(self, script: str) -> str:
        sha = self._hashes.get(script)
        if sha is None:
            digest = hashlib.sha1(script_source(script).encode(), usedforsecurity=False)
            sha = self._hashes[script] = digest.hexdigest()
        return sha

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                waiting = self._waiting
                together, self._waiting = waiting[:MOST_AT_ONCE], waiting[MOST_AT_ONCE:]
                await self._write_in_time(together)
        finally:
            self._writer = None

    async def _write_in_time(self, together: list[_Request]) -> None:
        failure: Exception | None = None
        try:
            async with asyncio.timeout_at(together[0].ends_at):
                await self._write(together)
        except (RedisError, OSError) as error:
            failure = error
            await self._drop()
        finally:
            for request in together:
                if not request.answer.done():
                    request.answer.set_exception(unanswered(failure))

    async def _write(self, together: list[_Request]) -> None:
        """Send one group and hand out its results; once more when the connection was stale."""
        fresh = self._ready is None or not self._ready.is_connected
        try:
            results = await self._exchange(together)
        except (Broken, NoScriptError):
            if fresh:
                raise
            await self._drop()
            results = await self._exchange(together)
        for request, result in zip(together, results, strict=True):
            if request.answer.done():
                continue
            if isinstance(result, Exception):
                request.answer.set_exception(
                    result if isinstance(result, Unavailable) else unanswered(result)
                )
            else:
                request.answer.set_result(result)

    async def _exchange(self, together: list[_Request]) -> list[Any]:
        connection = await self._connected()
        commands: list[Command] = [request.command for request in together]
        if self._replicas:
            commands.append(("WAIT", self._replicas, REPLICATION_TIMEOUT_MS))
        await connection.send_packed_command(_packed(commands), check_health=False)
        results = [await _result(connection) for _ in together]
        if self._replicas and await connection.read_response() < self._replicas:
            return [not_replicated()] * len(together)
        if any(isinstance(result, NoScriptError) for result in results):
            raise NoScriptError("the server has forgotten its scripts")
        return results

    async def _connected(self) -> AbstractConnection:
        """Give the connection; who stops waiting for it leaves it being made for the next."""
        if self._ready is not None and self._ready.is_connected:
            return self._ready
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> AbstractConnection:
        """Connect, and make every script known to the server."""
        async with asyncio.timeout(CONNECT_SECONDS):
            if self._connection is None:
                pool = self._client.connection_pool
                self._connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py's
            else:
                await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
            connection = self._connection
            loads: list[Command] = [
                ("SCRIPT", "LOAD", script_source(name)) for name in self._hashes
            ]
            await connection.send_packed_command(_packed(loads), check_health=False)
            for _ in loads:
                await connection.read_response()
        self._ready = connection
        return connection

    async def _drop(self) -> None:
        """End a connection whose answers nobody can tell apart any more."""
        if self._ready is not None:
            await self._ready.disconnect(nowait=True)
            self._ready = None


async def _result(connection: AbstractConnection) -> Any:
    """Read one caller's result; what Redis refused is a result, too."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _packed(commands: Sequence[Command]) -> list[bytes]:
    """Render commands as they are sent."""
    # hiredis's type says that a command has one part.
    return [hiredis.pack_command(cast(Any, command)) for command in commands]
