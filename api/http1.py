"""One client's connection: reads each HTTP/1.1 request completely, within limits, before any work.

llhttp (of Node.js) parses the syntax. This module decides the rest: how large a head or a body may
be, how long either may take, and which requests are refused because they are ambiguous.

Source: RFC 9112 (HTTP/1.1), RFC 9110 (Host, Expect, methods).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import unquote_to_bytes, urlsplit

import httptools

from api.messages import (
    AMBIGUOUS,
    BODY_TOO_LARGE,
    CROWDED,
    HEAD_TOO_LARGE,
    MALFORMED,
    OTHER_VERSION,
    TARGET_TOO_LONG,
    TOO_SLOW,
    UPGRADE_WITH_BODY,
    Answer,
    Fault,
    Request,
)
from shared.settings import Settings

# Usual heads, Stripe's too, have about 1 KB; cookies and proxies add to it.
HEAD_BYTES = 32_768
HEADERS = 100
TARGET_BYTES = 8_192
# Time for a head; a working client needs far less.
HEAD_SECONDS = 10.0
BODY_SECONDS = 15.0
# Lowest rate of a body after the first seconds; a modem of 1995 was twice as fast.
BODY_BYTES_PER_SECOND = 1_024
BODY_GRACE_SECONDS = 3.0
# Longer than Stripe and proxies leave a connection unused between two requests in a busy hour.
IDLE_SECONDS = 75.0
# Time after which a client that does not read its answer is disconnected.
UNREAD_SECONDS = 15.0
# Time for which bytes are still read and dropped after a refusal, as the client may still send.
LINGER_SECONDS = 1.0
# Requests of one connection that may wait for the one before; then reading pauses.
PIPELINE = 8
# Small chunks cost more work than they carry data; this many of them are an attack.
SMALL_PARTS = 1_000
SMALL_PART_BYTES = 16
# Total size of the bodies in one process, which limits the memory that an attack can use.
BODIES_BYTES = 64 * 1024 * 1024
# Interval between two checks of the deadlines, which are seconds; and while the process stops.
LOOK_SECONDS = 0.5
STOP_SECONDS = 0.02
# Time for the requests of clients that connected before the process stops.
LAST_REQUESTS_SECONDS = 1.0
# Headers that have one value by definition; two of them are ambiguous.
SINGLE = frozenset(
    b"host content-type content-length authorization idempotency-key stripe-account "
    b"stripe-signature prefer".split()
)
HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%-]+)(?::\d{1,5})?")
NO_BODY = frozenset((HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED))
# Phases in which nothing more is read.
ENDED = ("closing", "closed")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class _Refusal(Exception):
    """Ends the parser's callbacks; the connection has stored the fault."""


class Connections:
    """All connections of a process, with what they share: memory for bodies, and deadlines."""

    stopping = False

    def __init__(
        self,
        settings: Settings,
        serve: Callable[[Connection, Request], None],
        refusal: Callable[[Fault], Answer],
    ) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self._limit = settings.max_connections
        self.serve = serve
        self.refusal = refusal
        self.clock = asyncio.get_running_loop().time
        self._bodies_bytes = 0
        # Connections whose request is not being served, in the order in which they began to wait.
        self._waiting: dict[Connection, None] = {}
        self._working: set[Connection] = set()
        self.look()

    def accept(self) -> Connection:
        """Accept a connection; above the limit, drop the one that has waited longest."""
        if len(self._waiting) + len(self._working) >= self._limit and self._waiting:
            next(iter(self._waiting)).drop()
        return Connection(self)

    def forget(self, connection: Connection) -> None:
        """Forget a connection."""
        self._waiting.pop(connection, None)
        self._working.discard(connection)

    def works(self, connection: Connection) -> None:
        """Mark a connection whose request is being served: it is not dropped for others."""
        self._waiting.pop(connection, None)
        self._working.add(connection)

    def waits(self, connection: Connection) -> None:
        """Put a connection at the end of those whose request is not being served."""
        self._working.discard(connection)
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def reserve(self, size: int) -> bool:
        """Reserve memory for a part of a body; return False if there is none left."""
        if self._bodies_bytes + size > BODIES_BYTES:
            return False
        self._bodies_bytes += size
        return True

    def release(self, size: int) -> None:
        """Release the reserved memory."""
        self._bodies_bytes -= size

    def look(self) -> None:
        """Enforce the deadlines of all connections, now and every `LOOK_SECONDS`."""
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        now = self.clock()
        for connection in [*self._waiting, *self._working]:
            connection.look(now)
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self.look)

    async def stop(self, seconds: float) -> None:
        """Finish the requests that have begun and close idle connections, within these seconds.

        For a moment, each open connection may still send one last request: its client cannot know
        yet that the process stops.
        """
        self.stopping = True
        began_at = self.clock()
        while (self._waiting or self._working) and self.clock() < began_at + seconds:
            if self.clock() > began_at + LAST_REQUESTS_SECONDS:
                for connection in [one for one in self._waiting if one.idle]:
                    connection.drop()
            await asyncio.sleep(STOP_SECONDS)
        self._timer.cancel()
        for connection in [*self._waiting, *self._working]:
            connection.drop()
        await asyncio.sleep(0)  # lets the event loop close the dropped connections


class Connection(asyncio.Protocol):
    """Read requests one after the other, serve each when it is complete, write its answer."""

    def __init__(self, connections: Connections) -> None:
        self._shared = connections
        self._clock = connections.clock
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request | Fault] = deque()
        self._current: Request | None = None
        self._fault: Fault | None = None
        self._phase = "idle"
        self._ends_at = self._clock() + HEAD_SECONDS
        self._unread_until: float | None = None
        self._reserved = 0
        self._half_closed = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport and the peer's address."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP and Unix sockets are
        self._transport = transport
        address = transport.get_extra_info("peername")
        self._peer = str(address[0]) if isinstance(address, tuple) else "local"
        self._shared.waits(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Discard the queued requests; work that has begun continues."""
        self._phase = "closed"
        self._queue.clear()
        self._shared.release(self._reserved)
        self._reserved = 0
        self._shared.forget(self)

    def data_received(self, data: bytes) -> None:
        """Parse the data; refuse a request that breaks the syntax or a limit."""
        if self._phase in ENDED:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # the client offered another protocol; HTTP/1.1 answers
        except (httptools.HttpParserError, _Refusal):
            self._refuse(self._fault or MALFORMED)
            return
        if self._phase == "head":
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE)

    def eof_received(self) -> bool:
        """Keep the connection open for writing while an answer is due."""
        self._half_closed = True
        return self.serving

    def pause_writing(self) -> None:
        """Start the deadline for a client that does not read its answer."""
        self._unread_until = self._clock() + UNREAD_SECONDS

    def resume_writing(self) -> None:
        """Cancel that deadline: the client reads."""
        self._unread_until = None

    # Called by the front.

    @property
    def serving(self) -> bool:
        """Say whether a request is being served."""
        return self._current is not None

    @property
    def idle(self) -> bool:
        """Say whether no part of a request has arrived and no answer is due."""
        return self._phase == "idle" and not self.serving

    def answer(self, answer: Answer) -> None:
        """Write the answer to the current request, and serve the next."""
        request, self._current = self._current, None
        if request is None or self._phase in ENDED:
            return
        self._shared.release(len(request.body))
        self._reserved -= len(request.body)
        keep = request.keep_alive and not self._half_closed and not self._shared.stopping
        self._write(answer, head_only=request.method == "HEAD", keep=keep)
        if not keep:
            self._finish()
            return
        self._ends_at = self._clock() + (IDLE_SECONDS if self._phase == "idle" else BODY_SECONDS)
        self._shared.waits(self)
        if self._queue:
            self._next()

    def look(self, now: float) -> None:
        """Enforce the deadlines of this connection at the time `now`."""
        if self._unread_until is not None and now > self._unread_until:
            self._transport.abort()
        elif self.serving:
            return
        elif self._phase in ("head", "body") and (now > self._ends_at or self._creeps(now)):
            self._refuse(TOO_SLOW)
        elif now > self._ends_at:
            self.drop()

    def drop(self) -> None:
        """Disconnect at once, without an answer."""
        self._transport.abort()

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        self._headers: dict[bytes, bytes] = {}
        self._target = b""
        self._body = bytearray()
        self._lines = self._size = self._parts = self._head_bytes = 0
        self._enter("head", HEAD_SECONDS)

    def on_url(self, part: bytes) -> None:
        """Append a part of the target."""
        self._target += part
        if len(self._target) > TARGET_BYTES:
            self._stop(TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store one header line; a trailer after the body only counts towards the limits."""
        self._lines += 1
        self._size += len(name) + len(value)
        if self._lines > HEADERS or self._size > HEAD_BYTES:
            self._stop(HEAD_TOO_LARGE)
        if self._phase == "body":
            return
        # RFC 9110, 5.5: spaces around a value are no part of it; llhttp removes only those before.
        name, value = name.lower(), value.strip(b" \t")
        before = self._headers.get(name)
        if before is not None:
            if name in SINGLE:
                self._stop(AMBIGUOUS)
            value = before + b", " + value
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Check the head, and begin the body."""
        self._require_one_meaning()
        length = self._headers.get(b"content-length", b"")
        if length and int(length) > self._shared.max_body_bytes:
            self._stop(BODY_TOO_LARGE)
        self._enter("body", BODY_SECONDS)
        self._body_began_at = self._clock()
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and not self.serving:
            self._transport.write(CONTINUE)

    def on_body(self, part: bytes) -> None:
        """Append a part of the body."""
        self._parts += 1
        if len(self._body) + len(part) > self._shared.max_body_bytes:
            self._stop(BODY_TOO_LARGE)
        if self._parts > SMALL_PARTS and len(self._body) < self._parts * SMALL_PART_BYTES:
            self._stop(MALFORMED)
        if not self._shared.reserve(len(part)):
            self._stop(CROWDED)
        self._reserved += len(part)
        self._body += part

    def on_message_complete(self) -> None:
        """Serve the request, or queue it behind the one before."""
        path, _, query = self._target.partition(b"?")
        keep = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        method = self._parser.get_method().decode()
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()
        }
        self._enter("idle", IDLE_SECONDS)
        self._queue.append(
            Request(
                method,
                _as_one(path),
                query.decode("latin-1"),
                headers,
                bytes(self._body),
                self._peer,
                keep,
            )
        )
        if not self.serving:
            self._next()
        elif len(self._queue) >= PIPELINE:
            self._transport.pause_reading()

    def _require_one_meaning(self) -> None:
        """Refuse a head that two implementations could read in two ways."""
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._stop(OTHER_VERSION)
        host = self._headers.get(b"host")
        if not HOST.fullmatch(host or b"") and not (host is None and version == "1.0"):
            self._stop(AMBIGUOUS)
        self._require_one_length(version)
        if self._target.startswith((b"http://", b"https://")):
            self._read_absolute_target(host)
        elif not self._target.startswith(b"/") and self._target != b"*":
            self._stop(MALFORMED)

    def _require_one_length(self, version: str) -> None:
        """Refuse two statements of the body's length, and a body in an upgrade request."""
        headers = self._headers
        chunked, length = b"transfer-encoding" in headers, headers.get(b"content-length", b"0")
        if chunked and (version == "1.0" or b"content-length" in headers):
            self._stop(AMBIGUOUS)
        if self._parser.should_upgrade() and (chunked or length != b"0"):
            self._stop(UPGRADE_WITH_BODY)

    def _read_absolute_target(self, host: bytes | None) -> None:
        """Read a target in the form for a proxy; it and Host must name the same host."""
        parts = urlsplit(self._target)
        if parts.netloc != host:
            self._stop(AMBIGUOUS)
        self._target = (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")

    def _stop(self, fault: Fault) -> NoReturn:
        self._fault = fault
        raise _Refusal

    def _enter(self, phase: str, seconds: float) -> None:
        self._phase, self._ends_at = phase, self._clock() + seconds

    def _creeps(self, now: float) -> bool:
        if self._phase != "body":
            return False
        seconds = now - self._body_began_at - BODY_GRACE_SECONDS
        return seconds > 0 and len(self._body) < seconds * BODY_BYTES_PER_SECOND

    def _next(self) -> None:
        """Serve the first request in the queue."""
        first = self._queue.popleft()
        if not self._queue and not self._transport.is_reading():
            self._transport.resume_reading()
        if isinstance(first, Fault):
            self._refuse(first)
            return
        self._current = first
        self._shared.works(self)
        self._shared.serve(self, first)

    def _refuse(self, fault: Fault) -> None:
        """Answer with the fault and end the connection, after the answers due before it."""
        if self.serving:
            self._queue.append(fault)
            self._transport.pause_reading()
            return
        self._write(self._shared.refusal(fault), head_only=False, keep=False)
        self._finish()

    def _finish(self) -> None:
        """Close for writing, and drop for a moment what the client still sends."""
        self._queue.clear()
        self._enter("closing", LINGER_SECONDS)
        self._shared.waits(self)
        if self._half_closed:
            self._transport.close()
            return
        self._transport.write_eof()
        if not self._transport.is_reading():
            self._transport.resume_reading()

    def _write(self, answer: Answer, *, head_only: bool, keep: bool) -> None:
        lines = [f"{name}: {value}\r\n" for name, value in answer.headers]
        if not keep:
            lines.append("connection: close\r\n")
        if answer.body or not (head_only or answer.status in NO_BODY):
            lines.append(f"content-length: {len(answer.body)}\r\n")
        head = STATUS_LINES[answer.status] + self._shared.date + "".join(lines).encode("latin-1")
        self._transport.write(head + b"\r\n" + (b"" if head_only else answer.body))


def _as_one(path: bytes) -> str:
    """Return a path in the one form by which the application, its threads and limits are chosen.

    The router decodes a path and ignores more than one slash at its start; a path that only the
    router understood would have other threads and another deadline than its route.
    """
    return "/" + unquote_to_bytes(path).lstrip(b"/").decode("latin-1")
