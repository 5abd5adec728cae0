"""Redis behind TLS: our client and Celery's verify it, and refuse it without the authority."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery

from shared.errors import Unavailable
from shared.store.connection import broker_settings, connect
from shared.store.scripts import Store
from tests.conftest import make_settings

CHUNK = 65_536


class TlsDoor:
    """Accept TLS on a loopback port and pass the plain bytes to a server, as managed Redis does."""

    def __init__(self, certificate: Path, key: Path, server: tuple[str, int]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def close(self) -> None:
        """Close every connection and wait for the threads."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _run(self, target: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]  # callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                self._run(self._serve, raw)

    def _serve(self, raw: socket.socket) -> None:
        self._sockets.append(raw)
        with suppress(OSError):
            inner = socket.create_connection(self._server)
            self._sockets.append(inner)
            outer = self._context.wrap_socket(raw, server_side=True)
            self._sockets.append(outer)
            self._run(self._copy, inner, outer)
            self._copy(outer, inner)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                target.sendall(data)


@pytest.fixture
def tls_url(valkey_url: str, certificate: tuple[Path, Path]) -> Iterator[str]:
    """Return the URL of the test's Valkey behind TLS, without the certificate to trust."""
    parts = urlsplit(valkey_url)
    door = TlsDoor(*certificate, (str(parts.hostname), int(parts.port or 0)))
    yield f"rediss://127.0.0.1:{door.port}/0"
    door.close()


def test_the_store_speaks_tls_to_whom_it_can_verify(
    tls_url: str, certificate: tuple[Path, Path]
) -> None:
    trusted = make_settings(redis_url=f"{tls_url}?ssl_ca_certs={certificate[0]}")
    with connect(trusted, "tests") as client:
        assert Store(client).now_ms() > 0
    stranger = make_settings(redis_url=tls_url)
    with connect(stranger, "tests") as client, pytest.raises(Unavailable):
        Store(client).now_ms()


def test_celery_speaks_tls_to_whom_it_can_verify(
    tls_url: str, certificate: tuple[Path, Path]
) -> None:
    app = Celery("tls", set_as_current=False)
    url = f"{tls_url}?ssl_ca_certs={certificate[0]}"
    app.conf.update(broker_settings(make_settings(redis_url=url)))
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        assert channel.client.ping()
    app.close()
