"""A TCP relay between the service and a peer, which can delay answers or send them byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

CHUNK = 65_536
# Seconds between two bytes of a slow answer: shorter than any limit of a single read.
DRIP_SECONDS = 3.0


@dataclass(frozen=True)
class Manner:
    """How an answer is passed on: after a delay, in one piece or byte by byte."""

    delay_seconds: float = 0.0
    drips: bool = False


@dataclass
class Relay:
    """Listens on a port and passes everything to another port.

    `marked` sets the manner of answers by a text in the request, `manner` that of all others.
    """

    port: int
    peer_port: int
    marked: dict[bytes, Manner] = field(default_factory=dict)
    manner: Manner = Manner()
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Relay:
        """Start to listen."""
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=512)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; open connections end with their peers."""
        self.ended.set()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                _Pair(self, client).start()


class _Pair:
    """A connection and its counterpart."""

    def __init__(self, relay: Relay, client: socket.socket) -> None:
        self._relay = relay
        self._client = client
        self._peer = socket.create_connection(("127.0.0.1", relay.peer_port))
        for side in (self._client, self._peer):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._manner = relay.manner

    def start(self) -> None:
        """Pass bytes in both directions."""
        threading.Thread(target=self._ask, daemon=True).start()
        threading.Thread(target=self._answer, daemon=True).start()

    def _ask(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(CHUNK):
                manners = [manner for mark, manner in self._relay.marked.items() if mark in data]
                self._manner = manners[0] if manners else self._relay.manner
                self._peer.sendall(data)
        self._close()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._peer.recv(CHUNK):
                manner = self._manner
                time.sleep(manner.delay_seconds)
                self._pass_on(data, drips=manner.drips)
        self._close()

    def _pass_on(self, data: bytes, *, drips: bool) -> None:
        if not drips:
            self._client.sendall(data)
            return
        for place in range(len(data)):
            self._client.sendall(data[place : place + 1])
            if self._relay.ended.wait(DRIP_SECONDS):
                return

    def _close(self) -> None:
        for side in (self._client, self._peer):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
