#!/usr/bin/env python3
"""Receive the billing service's notifications: verify, store, answer, then apply in order.

EVENT_SERVICE_SECRET=whsec_… python3 receiver.py     (PORT 5000, JOURNAL notifications.jsonl)

Needs Python 3.11 and no package. The journal stands for a table of your database, keyed by the id.
docs/receiver.md explains each step.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PATH = "/api/billing/notifications"
# Seconds: an older signature, or one further in the future, is refused (Standard Webhooks).
TOLERANCE_SECONDS = 300
# The longest notification has about 20 kB, mostly 50 metadata values.
MOST_BODY_BYTES = 1_048_576
# Types about the same object, which are applied in order; all other types are independent.
OBJECTS = {
    "payment.settled": ("charge_id",),
    "payment.fraud_warning": ("fraud_warning_id",),
    "payment.review_opened": ("review_id",),
    "payment.review_closed": ("review_id",),
    "dispute.funds_withdrawn": ("dispute_id",),
    "dispute.funds_reinstated": ("dispute_id",),
    "payment": ("payment_intent_id", "charge_id"),
    "refund": ("refund_id", "refund_request_id"),
    "dispute": ("dispute_id",),
    "checkout": ("checkout_session_id",),
    "refund_batch": ("refund_batch_id",),
}
# States besides that of the object: money that moved, and the fee.
BOOKS = {
    "payment.settled": "fee",
    "dispute.funds_withdrawn": "funds",
    "dispute.funds_reinstated": "funds",
}

# A state is never replaced by one with a lower number, whatever the times; 0 for all other types.
ENDS = {
    "payment.canceled": 1,
    "payment.succeeded": 2,
    "payment.review_closed": 1,
    "refund.succeeded": 1,
    "refund.failed": 2,
    "refund.canceled": 2,
    "checkout.payment_succeeded": 1,
    "checkout.payment_failed": 1,
}
# In one second, where Stripe's times are equal, the type that is later in this list counts.
COURSE = (
    "payment.requires_action",
    "payment.processing",
    "payment.authorized",
    "payment.partially_captured",
    "payment.failed",
    "dispute.opened",
    "dispute.updated",
    "dispute.won",
    "dispute.lost",
    "dispute.closed",
    "dispute.funds_withdrawn",
    "dispute.funds_reinstated",
)


class Refusal(Exception):
    """A request that is answered with a status other than 2xx."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def verify(headers: dict[str, str], body: bytes, secrets: list[bytes], now: float) -> str:
    """Return the id of a notification with a valid signature. Raises `Refusal`."""
    try:
        identity, sent_at = headers["webhook-id"], headers["webhook-timestamp"]
        signatures = headers["webhook-signature"].split()
        too_far = abs(now - int(sent_at)) > TOLERANCE_SECONDS
    except (KeyError, ValueError):
        raise Refusal(401, "the headers webhook-id, -timestamp and -signature are needed") from None
    if too_far:
        raise Refusal(401, "webhook-timestamp is too far from our clock")
    signed = f"{identity}.{sent_at}.".encode() + body
    for secret in secrets:
        digest = hmac.new(secret, signed, hashlib.sha256).digest()
        expected = b"v1," + base64.b64encode(digest)
        if any(hmac.compare_digest(expected, one.encode()) for one in signatures):
            return identity
    raise Refusal(401, "no signature matches")


def parse(body: bytes, identity: str) -> Json:
    """Return the notification with this id. Raises `Refusal` for an invalid body."""
    try:
        notification: Json = json.loads(body)
        whole = [notification[name] for name in ("id", "type", "timestamp", "sequence", "data")]
    except (ValueError, KeyError, TypeError):
        raise Refusal(400, "the body is no notification") from None
    if whole[0] != identity:
        raise Refusal(400, "webhook-id is not the id in the body")
    return notification


class Inbox:
    """The received notifications, each id once, and the states that follow from them."""

    def __init__(self, journal: Path) -> None:
        self._lock = threading.Lock()
        self._received: set[str] = set()
        self.state: dict[str, Json] = {}
        text = journal.read_text() if journal.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a crash may have cut the last line
        journal.write_text(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))
        self._file = journal.open("a")

    def add(self, notification: Json) -> None:
        """Store a notification on disk and apply it, unless it was stored before."""
        with self._lock:
            if notification["id"] in self._received:
                return
            self._file.write(json.dumps(notification) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._take(notification)

    def _take(self, notification: Json) -> None:
        self._received.add(notification["id"])
        apply(self.state, notification)


def apply(state: dict[str, Json], notification: Json) -> None:
    """Set the state of the notification's object, unless a later notification has set it."""
    kind, data = notification["type"], notification["data"]
    fields = OBJECTS.get(kind) or OBJECTS.get(kind.partition(".")[0], ())
    subject = next((data[name] for name in fields if data.get(name)), None)
    if subject is None:
        return  # test.notification, or a type that is newer than this program
    key = f"{BOOKS[kind]}:{subject}" if kind in BOOKS else subject
    course = COURSE.index(kind) if kind in COURSE else -1
    place = [ENDS.get(kind, 0), notification["timestamp"], course, notification["sequence"]]
    if key not in state or place > state[key]["place"]:
        state[key] = {"type": kind, "status": data["status"], "place": place}


class Handler(BaseHTTPRequestHandler):
    """Answer one connection."""

    protocol_version = "HTTP/1.1"  # the service sends the next notification on it
    timeout = 60
    wbufsize = 65_536  # head and body are sent together: otherwise the body waits 40 ms
    inbox: Inbox
    secrets: list[bytes]

    def do_POST(self) -> None:
        """Receive a notification."""
        try:
            self._take()
        except Refusal as refusal:
            self._answer(refusal.status, {"error": str(refusal)})
        else:
            self._answer(200, {"received": True})

    def _take(self) -> None:
        if self.path != PATH:
            raise Refusal(404, "no notification")
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            raise Refusal(413, "Content-Length is missing or too large")
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        identity = verify(headers, body, self.secrets, time.time())
        self.inbox.add(parse(body, identity))

    def do_GET(self) -> None:
        """Show the state of every object; for you, not for the billing service."""
        self._answer(200, self.inbox.state)

    def _answer(self, status: int, body: Json) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if status >= 400:  # noqa: PLR2004  # the body may not have been read
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(payload)


def keys(text: str) -> list[bytes]:
    """Decode `whsec_<base64>` secrets, separated by commas: two while one is being replaced."""
    parts = [part.strip().removeprefix("whsec_") for part in text.split(",") if part.strip()]
    try:
        digests = [base64.b64decode(part, validate=True) for part in parts]
    except binascii.Error:
        digests = []
    if not digests:
        sys.exit("Set EVENT_SERVICE_SECRET to the secret of the billing service: whsec_<base64>.")
    return digests


def main() -> None:
    """Serve until the process is ended."""
    Handler.secrets = keys(os.environ.get("EVENT_SERVICE_SECRET", ""))
    Handler.inbox = Inbox(Path(os.environ.get("JOURNAL", "notifications.jsonl")))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "5000"))), Handler)
    sys.stdout.write(f"listening on http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
