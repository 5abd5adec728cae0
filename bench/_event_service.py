"""An event service for large backlogs: counts notifications and checks the order of each payment.

It listens only after `serve`; before that, connections are refused, as by a host that is down.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


@dataclass
class Ledger:
    """The last sequence of each payment, arrivals by second, and notifications out of order."""

    last: dict[str, int] = field(default_factory=dict)
    by_second: dict[int, int] = field(default_factory=dict)
    disorder: list[str] = field(default_factory=list)
    repeated: int = 0
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, payment: str, sequence: int) -> None:
        """Count one notification."""
        second = int(time.monotonic())
        with self.lock:
            last = self.last.get(payment, 0)
            if sequence == last:
                self.repeated += 1
                return
            if sequence != last + 1:
                self.disorder.append(f"{payment}: {sequence} after {last}")
            self.last[payment] = sequence
            self.count += 1
            self.by_second[second] = self.by_second.get(second, 0) + 1


class _Taker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ledger: ClassVar[Ledger]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.ledger.take(body["data"]["payment_intent_id"], body["sequence"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(port: int, ledger: Ledger) -> ThreadingHTTPServer:
    """Start to listen; `shutdown` and `server_close` stop it."""
    taker = type("Taker", (_Taker,), {"ledger": ledger})
    server = _Server(("127.0.0.1", port), taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
