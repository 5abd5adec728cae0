"""`GET /metrics`: the figures of the whole service, from any API process, for Prometheus.

When operator keys are set, the route needs one, because the figures show how much money moves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from flask import Flask, Response, g, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from api.access import BEARER, require_operator
from api.measurements import Measurement, measure
from api.openapi import operation_name
from api.parts import parts
from api.problems import documented
from shared.store.figures import Figures, read
from shared.store.scripts import Store
from shared.telemetry.tally import OTHER

metrics = APIBlueprint(
    "metrics",
    __name__,
    abp_tags=[Tag(name="health")],
    abp_security=BEARER,
    operation_id_callback=operation_name,
)
metrics.before_request(require_operator)
METHODS = frozenset(("GET", "POST", "HEAD", "OPTIONS"))
TEXT: Any = {200: {"description": "Prometheus' text.", "content": {"text/plain": {}}}}


@metrics.get("/metrics", responses={**TEXT, **documented(401, 403, 429, 500, 503)})
def show() -> Response:
    """Answer with every metric of the service in Prometheus' text format."""
    registry = CollectorRegistry()
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    store = parts().store
    registry.register(_Collector([*read(store)], [*measure(store)]))
    return Response(encode(registry), content_type=content_type)


class _Collector(Collector):
    """Collect the measurements as Prometheus' own families."""

    def __init__(self, figures: list[Figures], measurements: list[Measurement]) -> None:
        self._figures = figures
        self._measurements = measurements

    def collect(self) -> Iterator[Family]:
        """Yield every family once."""
        yield from (_histogram(f) if f.metric.buckets else _counter(f) for f in self._figures)
        yield from (_family(measurement) for measurement in self._measurements)


def _counter(figures: Figures) -> Family:
    metric = figures.metric
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for values, count in sorted(figures.counts.items()):
        family.add_metric(values, count)
    return family


def _histogram(figures: Figures) -> Family:
    metric = figures.metric
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(str(bound) for bound in metric.buckets), "+Inf"]
    for values, counts in sorted(figures.buckets.items()):
        totals = list(zip(bounds, accumulate(counts), strict=True))
        family.add_metric(values, totals, figures.sums.get(values, 0.0))
    return family


def _family(measurement: Measurement) -> Family:
    kind = CounterMetricFamily if measurement.counter else GaugeMetricFamily
    family = kind(measurement.name, measurement.help, labels=measurement.labels)
    for values, number in sorted(measurement.samples.items()):
        family.add_metric(values, number)
    return family


def install(app: Flask) -> None:
    """Count every request of the application."""
    app.after_request(_count)


def _count(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    route = str(request.url_rule or OTHER)
    method = request.method if request.method in METHODS else OTHER
    parts().store.tally.request(route, method, response.status_code, seconds)
    return response


def families(store: Store) -> list[Family]:
    """Return every family, so that tests can check alert rules and dashboards."""
    return list(_Collector([*read(store)], [*measure(store)]).collect())
