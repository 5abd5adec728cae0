"""Send one command and read its answer, over pooled connections of redis-py.

redis-py's client spends four times on a command what its connection does (50 and 13 microseconds of
CPU), and a worker spent a third of its time there. So the hot path (scripts and a few plain
commands) uses the connections themselves: those of the client's own pool, with its limits of time,
its TLS and its Sentinels.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import ResponseError


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
