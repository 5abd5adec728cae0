"""OpenTelemetry traces: from the API through the queue to the event service.

Tracing is off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Even then a caller's trace is passed on:
its `traceparent` (W3C Trace Context) is stored with the item of work, not with the message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.settings import Settings

_tracer = trace.get_tracer("billing-service")
_propagator = TraceContextTextMapPropagator()
TRACES_PATH = "/v1/traces"

__all__ = ["SpanKind", "configure_tracing", "enabled", "span", "start", "traceparent"]


def configure_tracing(settings: Settings, process: str) -> bool:
    """Export this process's spans by OTLP over HTTP if an endpoint is set; say whether it is."""
    if settings.otel_exporter_otlp_endpoint is None:
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": f"billing-{process}"})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=settings.otel_exporter_otlp_endpoint + TRACES_PATH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return True


def enabled() -> bool:
    """Say whether this process makes spans; without an exporter they would only cost time."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: dict[str, str | int] | None = None,
) -> Iterator[Span]:
    """Run the block as a span, below `parent` (a traceparent) or the current span.

    An exception marks the span as failed by its class alone: its text may quote a caller.
    """
    if not enabled():
        yield INVALID_SPAN
        return
    context = _context(parent) if parent else None
    with _tracer.start_as_current_span(
        name,
        context=context,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def start(name: str, parent: str | None, kind: SpanKind) -> Span:
    """Start a span that its caller ends."""
    return _tracer.start_span(name, context=_context(parent), kind=kind)


def traceparent(of: Span | None = None) -> str:
    """Return the traceparent of a span, by default the current one; empty when there is none."""
    carrier: dict[str, str] = {}
    context = trace.set_span_in_context(of) if of else None
    _propagator.inject(carrier, context=context)
    return carrier.get("traceparent", "")


def _context(parent: str | None) -> Context:
    return _propagator.extract({"traceparent": parent} if parent else {}, context=Context())
