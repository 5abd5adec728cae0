"""The id, the trace, the headers and the log line of every request."""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from flask import Flask, Response, g, request
from opentelemetry import context
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from api.messages import Answer
from shared.card_numbers import holds_card_number
from shared.settings import Settings
from shared.telemetry import tracing
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# Not logged: a probe every few seconds would hide all other lines.
QUIET_PATHS = ("/health", "/health/ready", "/metrics")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_ALWAYS = tuple(SECURITY_HEADERS.items())
JSON = "application/json"


@dataclass(slots=True)
class Identity:
    """The id and trace that connect an answer, a log line and recorded work to one request."""

    request_id: str
    # The fields to record with work of this request.
    trace: dict[str, str]
    span: Span | None
    from_caller: bool = False

    def answer(self, body: bytes, status: int = 200, media: str = JSON) -> Answer:
        """Build an answer with the headers that all answers have."""
        own = ("content-type", media), ("X-Request-Id", self.request_id)
        return Answer(status, [*own, *_ALWAYS], body)

    def end(self, status: int) -> None:
        """End the span, if there is one."""
        if self.span:
            self.span.set_attribute("http.response.status_code", status)
            self.span.end()


def identify(candidate: str, parent: str, name: str) -> Identity:
    """Use the caller's request id if it is valid, else make one; begin a span if tracing is on.

    `candidate` and `parent` are the headers X-Request-Id and traceparent, `name` is the span's.
    """
    acceptable = bool(
        candidate and REQUEST_ID.fullmatch(candidate) and not holds_card_number(candidate)
    )
    request_id = candidate if acceptable else f"req_{secrets.token_hex(12)}"
    traceparent = parent if TRACEPARENT.fullmatch(parent) else ""
    span = None
    if tracing.enabled():
        span = tracing.start(name, traceparent or None, SpanKind.SERVER)
        traceparent = tracing.traceparent(span)
    trace = {"request_id": request_id}
    if traceparent:
        trace["traceparent"] = traceparent
    return Identity(request_id, trace, span, acceptable)


def tell(route: str, method: str, status: int, seconds: float, **ids: str) -> None:
    """Write the one line that a request leaves in the log."""
    log.info(
        "request",
        method=method,
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        **ids,
    )


class RequestLines:
    """Write lines whose values are all our own, so that they need no search for secrets.

    All lines of one turn of the event loop are written at once. A line with a caller's own request
    id goes through the ordinary logger with its redaction; so does every line in text format.
    """

    def __init__(self, settings: Settings) -> None:
        self._ordinary = settings.log_format != "json"
        self._silent = settings.log_level in ("WARNING", "ERROR")
        self._lines: list[str] = []

    def end(self, identity: Identity, route: str, status: int, seconds: float, result: str) -> None:
        """End a POST: its span now, its line at the end of this turn of the event loop."""
        identity.end(status)
        if self._silent:
            return
        if self._ordinary or identity.from_caller:
            tell(route, "POST", status, seconds, result=result, request_id=identity.request_id)
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        now = datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
        self._lines.append(
            f'{{"method":"POST","route":"{route}","status":{status},'
            f'"duration_ms":{seconds * 1000:.1f},"result":"{result}",'
            f'"request_id":"{identity.request_id}","event":"request","process":"api",'
            f'"level":"info","timestamp":"{now}Z"}}\n'
        )

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stderr.write("".join(lines))
        sys.stderr.flush()


def install(app: Flask) -> None:
    """Wrap every request of the application."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_end_span)


def trace() -> dict[str, str]:
    """Return the fields to record with work of the current request."""
    identity: Identity = g.identity
    return identity.trace


def _begin() -> None:
    g.started = time.perf_counter()
    g.identity = identify(
        request.headers.get("X-Request-Id", ""),
        request.headers.get("traceparent", ""),
        f"{request.method} {request.url_rule or 'unknown'}",
    )
    g.request_id = g.identity.request_id
    if g.identity.span:
        g.span_token = context.attach(set_span_in_context(g.identity.span))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end_span(_: BaseException | None) -> None:
    if "span_token" in g:
        context.detach(g.pop("span_token"))
        g.identity.end(g.get("status", 500))


def _end(response: Response) -> Response:
    g.status = response.status_code
    response.headers["X-Request-Id"] = g.request_id
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path not in QUIET_PATHS:
        route = str(request.url_rule or "unknown")
        tell(route, request.method, response.status_code, time.perf_counter() - g.started)
    return response
