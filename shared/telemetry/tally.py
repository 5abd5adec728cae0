"""The counts of a process in memory, until they are added to the figures in Redis.

Counting uses a dict and a lock, so it is cheap on any path. Every label has few values; when a
metric gets too many series, the rest are counted as `other`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass

from shared.setting_types import QUEUES

# Most series of one metric in one process; the largest metric needs about 150.
MOST_SERIES = 500
OTHER = "other"
# A series: the metric's name, its labels' values, and for histograms which of its numbers.
Series = tuple[str, tuple[str, ...], str]


@dataclass(frozen=True)
class Metric:
    """A counter, or with `buckets` (upper bounds, seconds) a histogram.

    The series of `always` are shown from 0 on. A series that begins at 1 has not increased for
    Prometheus, so an alert on it would miss the first occurrence.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    always: tuple[tuple[str, ...], ...] = ()


REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Seconds from Stripe's `created`, which has whole seconds, to a delivery; the last try is at 72 h.
DELAY_BUCKETS = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)

HTTP_REQUESTS = Metric("billing_http_requests", "Requests answered.", ("route", "method", "status"))
HTTP_SECONDS = Metric(
    "billing_http_request_seconds", "Time to answer.", ("route",), REQUEST_BUCKETS
)
WEBHOOKS = Metric(
    "billing_webhooks", "Webhooks by result; `duplicate`: the event was known.", ("result",)
)
WEBHOOK_SECONDS = Metric(
    "billing_webhook_seconds", "Time to record and answer a webhook.", (), REQUEST_BUCKETS
)
EVENT_OUTCOMES = Metric(
    "billing_event_attempts", "Attempts at events by type and outcome.", ("type", "outcome")
)
ATTEMPTS = Metric("billing_attempts", "Attempts at work by kind and outcome.", ("kind", "outcome"))
FACTS = Metric(
    "billing_facts",
    "Facts by outcome: told (notified), suppressed (notified before), late.",
    ("outcome",),
)
DELIVERIES = Metric(
    "billing_deliveries", "Delivery attempts by notification type and outcome.", ("type", "outcome")
)
DELIVERY_SECONDS = Metric(
    "billing_delivery_seconds", "Time the event service took to answer.", (), REQUEST_BUCKETS
)
NOTIFICATION_DELAY = Metric(
    "billing_notification_delay_seconds",
    "From Stripe's `created` to the event service's 2xx.",
    (),
    DELAY_BUCKETS,
)
STRIPE_CALLS = Metric(
    "billing_stripe_calls",
    "Calls to Stripe by operation and result.",
    ("operation", "result"),
    always=(("events.list", "stripe_key_refused"), ("events.list", "stripe_permission_missing")),
)
STRIPE_SECONDS = Metric(
    "billing_stripe_call_seconds", "Time Stripe took to answer.", ("operation",), REQUEST_BUCKETS
)
STRIPE_BUDGET = Metric(
    "billing_stripe_budget",
    "Calls that drew on the budget: `taken`, `put_off`, or `unanswered` by Redis and made anyway.",
    ("priority", "outcome"),
)
STRIPE_LOWERED = Metric(
    "billing_stripe_lowered", "How often a 429 lowered the budget's rate.", always=((),)
)
OTHER_VERSION_EVENTS = Metric(
    "billing_events_other_version",
    "Events of another API version than ours.",
    ("api_version",),
    always=((OTHER,),),
)
# The label of our own account, which events do not name.
OWN_ACCOUNT = "own"
OTHER_MODE_EVENTS = Metric(
    "billing_events_other_mode",
    "Webhooks of another mode than our key's: acknowledged, not recorded.",
    ("mode", "account"),
    always=(("live", OWN_ACCOUNT), ("test", OWN_ACCOUNT)),
)
RINGS = Metric("billing_relay_rings", "Doorbells the relay rang, by kind of work.", ("kind",))
GARBAGE = Metric(
    "billing_queue_garbage",
    "Messages on our queues that this service did not send.",
    ("queue",),
    always=tuple((queue,) for queue in QUEUES),
)

METRICS = {
    metric.name: metric
    for metric in (
        HTTP_REQUESTS,
        HTTP_SECONDS,
        WEBHOOKS,
        WEBHOOK_SECONDS,
        EVENT_OUTCOMES,
        ATTEMPTS,
        FACTS,
        DELIVERIES,
        DELIVERY_SECONDS,
        NOTIFICATION_DELAY,
        STRIPE_CALLS,
        STRIPE_SECONDS,
        STRIPE_BUDGET,
        STRIPE_LOWERED,
        OTHER_VERSION_EVENTS,
        OTHER_MODE_EVENTS,
        RINGS,
        GARBAGE,
    )
}
# Results of a call to Stripe; its hundreds of codes for a refusal count as one.
STRIPE_RESULTS = frozenset(
    "ok stripe_unreachable stripe_rate_limited stripe_busy stripe_error stripe_key_refused "
    "stripe_permission_missing stripe_idempotency_mismatch".split()
)


class Tally:
    """Count and observe; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: defaultdict[Series, float] = defaultdict(float)
        self._label_values: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)

    def count(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._sums[metric.name, self._values(metric, labels), ""] += amount

    def observe(self, metric: Metric, seconds: float, **labels: str) -> None:
        """Add an observation to a histogram."""
        bucket = bisect_left(metric.buckets, seconds)
        with self._lock:
            values = self._values(metric, labels)
            self._sums[metric.name, values, str(bucket)] += 1
            self._sums[metric.name, values, "sum"] += seconds

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request of the API and its time."""
        self.count(HTTP_REQUESTS, route=route, method=method, status=str(status))
        self.observe(HTTP_SECONDS, seconds, route=route)

    def attempt(self, kind: str, outcome: str, by_type: Metric | None, type_: str) -> None:
        """Count an attempt at work, in another metric also by its type."""
        self.count(ATTEMPTS, kind=kind, outcome=outcome)
        if by_type:
            self.count(by_type, type=type_, outcome=outcome)

    def webhook(self, route: str, status: int, seconds: float, result: str) -> None:
        """Count an answered webhook, its result and its time."""
        self.request(route, "POST", status, seconds)
        self.count(WEBHOOKS, result=result)
        self.observe(WEBHOOK_SECONDS, seconds)

    def stripe_call(self, operation: str, result: str, seconds: float) -> None:
        """Count a call to Stripe; the gateway calls this after each."""
        bounded = result if result in STRIPE_RESULTS else "refused"
        self.count(STRIPE_CALLS, operation=operation, result=bounded)
        self.observe(STRIPE_SECONDS, seconds, operation=operation)

    def take(self) -> dict[Series, float]:
        """Return all counts since the last call, and start again at zero."""
        with self._lock:
            sums, self._sums = self._sums, defaultdict(float)
        return sums

    def give_back(self, sums: dict[Series, float]) -> None:
        """Add counts again that were taken and could not be written."""
        with self._lock:
            for series, amount in sums.items():
                self._sums[series] += amount

    def _values(self, metric: Metric, labels: dict[str, str]) -> tuple[str, ...]:
        values = tuple(map(labels.__getitem__, metric.labels))
        series = self._label_values[metric.name]
        if values not in series:
            if len(series) >= MOST_SERIES:
                return tuple(OTHER for _ in values)
            series.add(values)
        return values
