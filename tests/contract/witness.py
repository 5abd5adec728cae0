"""A proxy between every client and Stripe, which passes everything on unchanged and records it.

The official SDKs and the CLI do not show the raw answers that they received. A loopback proxy does,
for all of them alike, both for the sandbox and for Stripe's test mode.
"""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import urllib3

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
# Seconds; longer than any answer in the suite takes, delayed ones included.
ANSWER_LIMIT_SECONDS = 30

# Seconds between two checks whether to stop; the library's half second adds up over a suite.
STOP_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Exchange:
    """One request and Stripe's answer."""

    method: str
    path: str
    query: str
    headers_sent: dict[str, str]
    form: bytes
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the decoded answer."""
        return json.loads(self.body)

    @property
    def label(self) -> str:
        """Describe the exchange in an error."""
        return f"{self.method} {self.path} -> {self.status}"


@dataclass
class Witness:
    """A running proxy; `exchanges` grows with every answer, oldest first."""

    url: str
    exchanges: list[Exchange] = field(default_factory=list)

    def since(self, mark: int) -> list[Exchange]:
        """Return the exchanges after the first `mark`."""
        return self.exchanges[mark:]


class WitnessServer(ThreadingHTTPServer):
    """Listens on a free loopback port and forwards to one upstream."""

    daemon_threads = True
    # More than the parallel requests of the idempotency tests.
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.pool = urllib3.PoolManager(maxsize=64, retries=False, timeout=ANSWER_LIMIT_SECONDS)
        self.witness = Witness(f"http://127.0.0.1:{self.server_port}")
        self._thread = threading.Thread(
            target=self.serve_forever, args=(STOP_LOOK_SECONDS,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and close all connections."""
        self.shutdown()
        self.server_close()
        self.pool.clear()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: in some tests a client closes its connection in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WitnessServer

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        form = self.rfile.read(length)
        headers_sent = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        headers_sent["Accept-Encoding"] = "identity"
        try:
            answer = self.server.pool.request(
                self.command,
                self.server.upstream + self.path,
                headers=headers_sent,
                body=form or None,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError:
            # A connection that the upstream dropped is dropped for the client, too.
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._answer(answer, headers_sent, form)

    def _answer(
        self, answer: urllib3.BaseHTTPResponse, headers_sent: dict[str, str], form: bytes
    ) -> None:
        split = urlsplit(self.path)
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
        self.server.witness.exchanges.append(
            Exchange(
                self.command,
                split.path,
                split.query,
                headers_sent,
                form,
                answer.status,
                {k.lower(): v for k, v in headers.items()},
                answer.data,
            )
        )
        self.send_response_only(answer.status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.data)))
        self.end_headers()
        self.wfile.write(answer.data)

    do_GET = do_POST = do_DELETE = _pass_on  # noqa: N815 - the names http.server looks for

    def log_message(self, *_: object) -> None:
        """Write no log line; the witness records the exchange."""
