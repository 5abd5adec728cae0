"""Send one command and read its answer in time, over pooled connections of redis-py.

redis-py's client spends four times on a command what its connection does (50 and 13 microseconds of
CPU), and a worker spent a third of its time there. So the hot path (scripts and a few plain
commands) uses the connections themselves: those of the client's own pool, with its limits of time,
its TLS and its Sentinels.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from typing import Any

from redis import Redis
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import ResponseError
from redis.sentinel import SentinelManagedConnection
from redis.utils import SENTINEL

from shared.deadline import remaining

# Seconds in which work after its deadline may still record its outcome.
LAST_WORDS_SECONDS = 0.5
# Seconds. A socket does not accept a timeout of zero.
SHORTEST_SECONDS = 0.001


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
        connection = self._take()
        try:
            try:
                return _exchange(connection, command)
            except Broken:
                connection.disconnect()
                return _exchange(connection, command)
        finally:
            self._idle.append(connection)

    def _take(self) -> Any:
        if self._pid != os.getpid():  # a fork shares its parent's sockets, and must not use them
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.make_connection()


def _exchange(connection: Any, command: tuple[Any, ...]) -> Any:
    try:
        # Nothing to do for one that is connected; else Sentinels are asked for the primary here,
        # and nowhere else.
        connection.connect()
        connection.send_command(*command)
        return connection.read_response()
    except ResponseError:
        raise  # an answer like any other: the connection is at the next one
    except BaseException:
        # The answer may still come, and would be taken for that of the next command.
        connection.disconnect()
        raise


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
