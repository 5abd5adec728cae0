"""Messages between a connection and the application: request, answer and fault."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Request:
    """A complete request: head and body. Headers are Latin-1 text, their names in lower case.

    The path is decoded Latin-1 text, too, and begins with one slash, as in PEP 3333.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    peer: str
    keep_alive: bool
    began_at: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class Answer:
    """An answer: status, headers other than Content-Length and Date, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Fault:
    """The reason to refuse a request before it is complete; the answer ends the connection."""

    status: int
    code: str
    detail: str
    retry_after_seconds: float | None = None


AMBIGUOUS = Fault(400, "ambiguous_request", "The request has more than one meaning.")
MALFORMED = Fault(400, "bad_request", "The request could not be read; check its syntax.")
OTHER_VERSION = Fault(505, "http_version", "Speak HTTP/1.1.")
UPGRADE_WITH_BODY = Fault(400, "upgrade_refused", "Send the request without an Upgrade header.")
HEAD_TOO_LARGE = Fault(431, "headers_too_large", "Send fewer or shorter headers.")
TARGET_TOO_LONG = Fault(414, "uri_too_long", "Send a shorter path and query.")
BODY_TOO_LARGE = Fault(413, "body_too_large", "Send a smaller body.")
TOO_SLOW = Fault(
    408, "request_timeout", "The request did not arrive completely in time; send it again."
)
CROWDED = Fault(503, "too_busy", "Too many bodies are being received; try again.", 1)
FAULTS = (
    AMBIGUOUS,
    MALFORMED,
    OTHER_VERSION,
    UPGRADE_WITH_BODY,
    HEAD_TOO_LARGE,
    TARGET_TOO_LONG,
    BODY_TOO_LARGE,
    TOO_SLOW,
    CROWDED,
)
