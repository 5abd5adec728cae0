"""Receive webhooks as an integrator does: raw bytes, headers, a status that the test sets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import stripe

# Seconds between two checks whether to stop; the library's half second adds up over a suite.
STOP_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Delivery:
    """One received POST."""

    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        """Return the event in it, not verified."""
        result: dict[str, Any] = json.loads(self.body)
        return result

    def concerns(self, subject: str) -> bool:
        """Say whether the event is about this object or its parts."""
        thing = self.event["data"]["object"]
        return subject in {thing["id"], thing.get("payment_intent"), thing.get("charge")}

    def verified_by(self, secret: str) -> stripe.Event:
        """Check the signature with the official SDK; raises when it is invalid."""
        return stripe.Webhook.construct_event(self.body, self.headers["stripe-signature"], secret)


@dataclass
class Receiver:
    """A running receiver; `statuses` are answered in turn, then 200 for ever."""

    url: str
    deliveries: list[Delivery] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def about(self, subject: str) -> list[Delivery]:
        """Return the deliveries about an object or its parts, in order of arrival."""
        return [delivery for delivery in self.deliveries if delivery.concerns(subject)]

    def types(self, subject: str) -> list[str]:
        """Return the types of these events."""
        return [delivery.event["type"] for delivery in self.about(subject)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {key.lower(): value for key, value in self.headers.items()}
            receiver.deliveries.append(Delivery(body, headers))
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            self.send_response(status)
            if status in {301, 302, 307, 308}:
                self.send_header("Location", receiver.url + "/moved")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """Answer like the shop to which a browser returns."""
            page = b"<!doctype html><title>Shop</title><h1>Back in the shop</h1>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(STOP_LOOK_SECONDS,), daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
