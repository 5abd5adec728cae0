"""What every request passes: its id, its trace, its log line."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from flask import Flask, Response, g, request
from opentelemetry import context
from opentelemetry.trace import SpanKind, set_span_in_context

from shared.card_numbers import holds_card_number
from shared.telemetry import tracing
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# A health probe every few seconds would drown everything else.
QUIET_PATHS = ("/health", "/health/ready", "/metrics")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def install(app: Flask) -> None:
    """Wrap every request of the application."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_end_span)


def trace() -> dict[str, str]:
    """Give what ties work that is recorded now to this request."""
    found = {"request_id": g.request_id, "traceparent": g.traceparent}
    return {name: value for name, value in found.items() if value}


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    acceptable = REQUEST_ID.fullmatch(given) and not holds_card_number(given)
    g.request_id = given if acceptable else f"req_{secrets.token_hex(12)}"
    parent = request.headers.get("traceparent", "")
    g.traceparent = parent if TRACEPARENT.fullmatch(parent) else ""
    if tracing.enabled():
        _begin_span()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _begin_span() -> None:
    name = f"{request.method} {request.url_rule or 'unknown'}"
    g.span = tracing.start(name, g.traceparent or None, SpanKind.SERVER)
    g.span_token = context.attach(set_span_in_context(g.span))
    g.traceparent = tracing.traceparent(g.span)


def _end_span(_: BaseException | None) -> None:
    if "span" in g:
        context.detach(g.pop("span_token"))
        g.pop("span").end()


def _end(response: Response) -> Response:
    if "span" in g:
        g.span.set_attribute("http.response.status_code", response.status_code)
    response.headers["X-Request-Id"] = g.request_id
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path not in QUIET_PATHS:
        log.info(
            "request",
            method=request.method,
            route=str(request.url_rule or "unknown"),
            status=response.status_code,
            duration_ms=round((time.perf_counter() - g.started) * 1000, 1),
        )
    return response
