"""A peer that misbehaves: raw bytes on a loopback port, one behaviour for each server."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

HEAD_END = b"\r\n\r\n"
# Bytes that are sent one by one for longer than any test waits.
DRIPS = 200

Behaviour = Callable[["Peer", socket.socket, int], None]


@dataclass
class Peer:
    """A hostile server: the requests that it got, and the number of connections."""

    behaviour: Behaviour
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                self.sockets.append(connection)
                arguments = (connection, self.connections)
                threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection:
            self.behaviour(self, connection, number)

    def hear(self, connection: socket.socket) -> bool:
        """Read one request with its body; return False when the connection ended instead."""
        request = b""
        while HEAD_END not in request:
            part = connection.recv(65_536)
            if not part:
                return False
            request += part
        head, _, body = request.partition(HEAD_END)
        lengths = [
            line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ]
        length = int(lengths[0].partition(b":")[2]) if lengths else 0
        while len(body) < length:
            body += connection.recv(65_536)
        self.requests.append(head + HEAD_END + body)
        return True

    def drip(self, connection: socket.socket, data: bytes, pause: float) -> None:
        """Send one byte after each pause."""
        for number in range(DRIPS):
            if self.closing.wait(pause):
                return
            connection.sendall(data[number % len(data) : number % len(data) + 1])


def says(*parts: bytes | float, close: bool = True) -> Behaviour:
    """Answer every request with these bytes; a number is a pause in seconds."""

    def behave(peer: Peer, connection: socket.socket, _: int) -> None:
        while peer.hear(connection):
            for part in parts:
                if isinstance(part, bytes):
                    connection.sendall(part)
                else:
                    time.sleep(part)
            if close:
                return

    return behave


def drips(head: bytes, data: bytes, pause: float = 0.1) -> Behaviour:
    """Send a head at once, then one byte of the data after each pause, repeatedly."""

    def behave(peer: Peer, connection: socket.socket, _: int) -> None:
        if peer.hear(connection):
            connection.sendall(head)
            peer.drip(connection, data, pause)

    return behave


def resets_after(data: bytes) -> Behaviour:
    """Send these bytes, then reset the connection."""

    def behave(peer: Peer, connection: socket.socket, _: int) -> None:
        if peer.hear(connection):
            connection.sendall(data)
            time.sleep(0.05)  # so that the bytes arrive before the reset
            reset(connection)

    return behave


def reset(connection: socket.socket) -> None:
    """Make closing this connection reset it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def peer(behaviour: Behaviour) -> Iterator[Peer]:
    """Run a hostile server for the duration of the block."""
    served = Peer(behaviour)
    threading.Thread(target=served.accept, daemon=True).start()
    try:
        yield served
    finally:
        served.closing.set()
        for each in [served.listener, *served.sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
