"""One client's connection: HTTP/1.1 read to the end within its limits, before anybody works for it.

llhttp (of Node.js) reads the syntax. What it cannot know is decided here: how large a head or a
body may be, how long either may take, and which requests have more than one meaning.

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
from urllib.parse import urlsplit

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

# A head of ours and Stripe's has about 1 KB; cookies and proxies add to it.
HEAD_BYTES = 32_768
HEADERS = 100
TARGET_BYTES = 8_192
# A client that is there has sent its head within this time.
HEAD_SECONDS = 10.0
BODY_SECONDS = 15.0
# The slowest a body may come after the first seconds: a modem of 1995 was twice as fast.
BODY_BYTES_PER_SECOND = 1_024
BODY_GRACE_SECONDS = 3.0
# Longer than Stripe and proxies leave a connection unused between two requests in a busy hour.
IDLE_SECONDS = 75.0
# A client that does not read its answer.
UNREAD_SECONDS = 15.0
# After a refusal the client may still be sending: what comes is dropped, then the connection ends.
LINGER_SECONDS = 1.0
# Requests of one connection that wait for the one before; then reading stops.
PIPELINE = 8
# Chunks of a few bytes cost more than they carry; so many of them are no accident.
SMALL_PARTS = 1_000
SMALL_PART_BYTES = 16
# Bodies that are being received or worked on, in one process: what an attack may take of memory.
BODIES_BYTES = 64 * 1024 * 1024
# Between two looks at what takes too long: deadlines of seconds need no finer clock.
LOOK_SECONDS = 0.5
STOP_SECONDS = 0.02
# A client that has connected sends its request within this time, unless it keeps us waiting.
LAST_REQUESTS_SECONDS = 1.0
# A header that has one value by definition: two of them are two opinions.
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


class _Refused(Exception):
    """Leaves the parser's callbacks: the fault is kept by the connection."""


class Connections:
    """All connections of a process, and what they share: room, and the end of their patience."""

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
        # Those that nobody works for, in the order in which they began to wait.
        self._waiting: dict[Connection, None] = {}
        self._working: set[Connection] = set()
        self.look()

    def accept(self) -> Connection:
        """Take a connection in, and let the one go that has waited longest when there are many."""
        if len(self._waiting) + len(self._working) >= self._limit and self._waiting:
            next(iter(self._waiting)).drop()
        return Connection(self)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._waiting.pop(connection, None)
        self._working.discard(connection)

    def works(self, connection: Connection) -> None:
        """Keep a connection whose request is being worked on."""
        self._waiting.pop(connection, None)
        self._working.add(connection)

    def waits(self, connection: Connection) -> None:
        """Put a connection last among those that nobody works for."""
        self._working.discard(connection)
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def reserve(self, size: int) -> bool:
        """Make room for a part of a body, if there is."""
        if self._bodies_bytes + size > BODIES_BYTES:
            return False
        self._bodies_bytes += size
        return True

    def release(self, size: int) -> None:
        """Give the room back."""
        self._bodies_bytes -= size

    def look(self) -> None:
        """End what takes too long, now and again and again."""
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        now = self.clock()
        for connection in [*self._waiting, *self._working]:
            connection.look(now)
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self.look)

    async def stop(self, seconds: float) -> None:
        """Let every request end that has begun, close what is idle; wait no longer than this.

        For a moment requests on connections that we have are still taken, each as the last: who
        has connected, or sends on an old connection right now, cannot know that we stop.
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
        await asyncio.sleep(0)  # the event loop closes what was dropped


class Connection(asyncio.Protocol):
    """Read requests one after the other, hand each on when it is whole, write its answer."""

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

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP and Unix sockets are
        self._transport = transport
        address = transport.get_extra_info("peername")
        self._peer = str(address[0]) if isinstance(address, tuple) else "local"
        self._shared.waits(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Forget everything; work that was begun goes on without us."""
        self._phase = "closed"
        self._queue.clear()
        self._shared.release(self._reserved)
        self._reserved = 0
        self._shared.closed(self)

    def data_received(self, data: bytes) -> None:
        """Read on; refuse with an answer what breaks the syntax or a limit."""
        if self._phase in ENDED:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # another protocol was offered: the request is answered in this one
        except (httptools.HttpParserError, _Refused):
            self._refuse(self._fault or MALFORMED)
            return
        if self._phase == "head":
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE)

    def eof_received(self) -> bool:
        """Keep the way back open while an answer is due."""
        self._half_closed = True
        return self.serving

    def pause_writing(self) -> None:
        """Give a client that does not read a moment."""
        self._unread_until = self._clock() + UNREAD_SECONDS

    def resume_writing(self) -> None:
        """Forget it: the client reads."""
        self._unread_until = None

    # What the front calls.

    @property
    def serving(self) -> bool:
        """Say whether a request is being worked on."""
        return self._current is not None

    @property
    def idle(self) -> bool:
        """Say whether nothing of a request has come and nothing is due."""
        return self._phase == "idle" and not self.serving

    def answer(self, answer: Answer) -> None:
        """Write the answer to the request at hand and turn to the next."""
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
        """End what takes too long; the front calls this again and again."""
        if self._unread_until is not None and now > self._unread_until:
            self._transport.abort()
        elif self.serving:
            return
        elif self._phase in ("head", "body") and (now > self._ends_at or self._creeps(now)):
            self._refuse(TOO_SLOW)
        elif now > self._ends_at:
            self.drop()

    def drop(self) -> None:
        """End a connection that nobody works for."""
        self._transport.abort()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._headers: dict[bytes, bytes] = {}
        self._target = b""
        self._body = bytearray()
        self._lines = self._size = self._parts = self._head_bytes = 0
        self._enter("head", HEAD_SECONDS)

    def on_url(self, part: bytes) -> None:
        """Take (a part of) the target."""
        self._target += part
        if len(self._target) > TARGET_BYTES:
            self._stop(TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header line; a trailer after the body is counted and left out."""
        self._lines += 1
        self._size += len(name) + len(value)
        if self._lines > HEADERS or self._size > HEAD_BYTES:
            self._stop(HEAD_TOO_LARGE)
        if self._phase == "body":
            return
        name = name.lower()
        before = self._headers.get(name)
        if before is not None:
            if name in SINGLE:
                self._stop(AMBIGUOUS)
            value = before + b", " + value
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Decide whether a body may come."""
        self._require_one_meaning()
        length = self._headers.get(b"content-length", b"")
        if length and int(length) > self._shared.max_body_bytes:
            self._stop(BODY_TOO_LARGE)
        self._enter("body", BODY_SECONDS)
        self._body_began_at = self._clock()
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and not self.serving:
            self._transport.write(CONTINUE)

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
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
        """Hand the request on, or let it wait for the one before."""
        path, _, query = self._target.decode("latin-1").partition("?")
        keep = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        method = self._parser.get_method().decode()
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()
        }
        self._enter("idle", IDLE_SECONDS)
        self._queue.append(
            Request(method, path, query, headers, bytes(self._body), self._peer, keep)
        )
        if not self.serving:
            self._next()
        elif len(self._queue) >= PIPELINE:
            self._transport.pause_reading()

    # What remains between us.

    def _require_one_meaning(self) -> None:
        """Refuse what two readers could read in two ways."""
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
        """Refuse two ways to find the body's end, and a body that another protocol would read."""
        headers = self._headers
        chunked, length = b"transfer-encoding" in headers, headers.get(b"content-length", b"0")
        if chunked and (version == "1.0" or b"content-length" in headers):
            self._stop(AMBIGUOUS)
        if self._parser.should_upgrade() and (chunked or length != b"0"):
            self._stop(UPGRADE_WITH_BODY)

    def _read_absolute_target(self, host: bytes | None) -> None:
        """Read a target as for a proxy: it and Host must name the same host."""
        parts = urlsplit(self._target)
        if parts.netloc != host:
            self._stop(AMBIGUOUS)
        self._target = (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")

    def _stop(self, fault: Fault) -> NoReturn:
        self._fault = fault
        raise _Refused

    def _enter(self, phase: str, seconds: float) -> None:
        self._phase, self._ends_at = phase, self._clock() + seconds

    def _creeps(self, now: float) -> bool:
        if self._phase != "body":
            return False
        seconds = now - self._body_began_at - BODY_GRACE_SECONDS
        return seconds > 0 and len(self._body) < seconds * BODY_BYTES_PER_SECOND

    def _next(self) -> None:
        """Turn to the first that waits."""
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
        """Answer with the fault and end; after the answers that are due before it."""
        if self.serving:
            self._queue.append(fault)
            self._transport.pause_reading()
            return
        self._write(self._shared.refusal(fault), head_only=False, keep=False)
        self._finish()

    def _finish(self) -> None:
        """Say that we have ended, and drop what still comes for a moment."""
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
