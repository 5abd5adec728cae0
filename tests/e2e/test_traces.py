"""One trace from a caller's request through the queue to the event service, in a collector."""

from __future__ import annotations

import gzip
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.running import service
from tests.servers import wait_until


class Collector(ThreadingHTTPServer):
    """Receives spans by OTLP over HTTP and stores their names by trace."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ears)
        self.names: dict[str, set[tuple[str, str]]] = {}

    def take(self, payload: bytes) -> None:
        """Store the spans of one export."""
        request = ExportTraceServiceRequest.FromString(payload)
        for resource in request.resource_spans:
            (process,) = (
                a.value.string_value
                for a in resource.resource.attributes
                if a.key == "service.name"
            )
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.names.setdefault(span.trace_id.hex(), set()).add((process, span.name))


class Ears(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        payload = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            payload = gzip.decompress(payload)
        self.server.take(payload)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write no log line."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.long
def test_a_refund_is_one_trace_from_the_request_to_the_worker(
    tmp_path: Path, collector: Collector
) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    trace = secrets.token_hex(16)
    with service(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as running:
        payment = running.pay("pm_card_visa").json()["payment_intent_id"]
        refund = requests.post(
            f"{running.url()}/api/refund/process",
            json={"payment_intent_id": payment},
            headers={
                "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01",
                "Prefer": "wait=10",
            },
            timeout=20,
        )
        assert refund.json()["status"] == "succeeded"
        notifications = running.notifications_of(payment, "payment.succeeded", "refund.succeeded")
        target = {
            ("billing-api", "POST /api/refund/process"),
            ("billing-worker", "billing.run_refund"),
            ("billing-worker", "stripe refunds.create"),
        }
        wait_until(lambda: target <= collector.names.get(trace, set()), "the refund's spans")
        told_trace = notifications[1]["headers"]["traceparent"].split("-")[1]
        told_of = {
            ("billing-api", "POST /api/webhook"),
            ("billing-worker", "billing.process_event"),
            ("billing-worker", "billing.deliver"),
        }
        wait_until(lambda: told_of <= collector.names.get(told_trace, set()), "the event's spans")
