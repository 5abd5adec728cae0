"""Metrics of the whole service: processes add their counts to one hash, any API process shows it.

So the figures are right with any number of processes and hosts, and only one process is scraped. A
process adds its counts once a second, in a thread of its own. A count may be added twice when a
connection breaks at the wrong moment, and the last second of a killed process is lost: good enough
for rates, and no decision depends on them.
"""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shared.canonical_json import compact
from shared.errors import Unavailable
from shared.store import rates
from shared.store.rates import BUCKET_SECONDS, BUCKETS
from shared.store.scripts import Call, Store
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import METRICS, Metric, Series

log = get_logger(__name__)
FLUSH_SECONDS = 1.0
# Most series added in one script, so that it blocks Redis for less than a millisecond.
CHUNK = 500


def flush(store: Store) -> None:
    """Add this process's counts to those in Redis; keep them when Redis is unavailable."""
    items = list(store.tally.take().items())
    while items:
        chunk, items = items[:CHUNK], items[CHUNK:]
        arguments = [part for series, n in chunk for part in _arguments(series, n)]
        keys = {"figures": store.keys.figures(), "rates": rates.names(store)}
        try:
            store.run(Call("tally", keys, [BUCKET_SECONDS * 1000, BUCKETS, *arguments]))
        except Unavailable:
            store.tally.give_back(dict(chunk + items))
            return


def _arguments(series: Series, amount: float) -> Iterator[str | int]:
    yield from (compact(list(series)), repr(amount), *rates.place_of(series))


class Flusher:
    """Flush each second until stopped, and once at the end of the process.

    `watch` is called each second, too.
    """

    def __init__(
        self,
        store: Store,
        pause_seconds: float = FLUSH_SECONDS,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._watch = watch
        self._pause_seconds = pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> Flusher:
        """Start flushing; return the flusher itself."""
        self._thread.start()
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Flush a last time and end."""
        self._stop.set()
        self._thread.join(timeout=2 * self._pause_seconds)

    def _run(self) -> None:
        while not self._stop.wait(self._pause_seconds):
            flush(self._store)
            self._watch()
        flush(self._store)


@dataclass
class Figures:
    """The figures of one metric: each series' number, or a histogram's counts and sum."""

    metric: Metric
    counts: dict[tuple[str, ...], float] = field(default_factory=dict)
    buckets: dict[tuple[str, ...], list[float]] = field(default_factory=dict)
    sums: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, series: Series, amount: float) -> None:
        """Add one number read from Redis."""
        _, values, part = series
        if part == "":
            self.counts[values] = amount
        elif part == "sum":
            self.sums[values] = amount
        else:
            counts = self.buckets.setdefault(values, [0.0] * (len(self.metric.buckets) + 1))
            counts[int(part)] = amount


def read(store: Store) -> Iterator[Figures]:
    """Read the figures of every metric we know. Raises `Unavailable`."""
    figures = {m.name: Figures(m, dict.fromkeys(m.always, 0.0)) for m in METRICS.values()}
    for text, amount in store.hash(store.keys.figures()).items():
        name, values, part = json.loads(text)
        metric = METRICS.get(name)
        # Another release may have counted what this one does not know, or with other labels.
        if metric and len(values) == len(metric.labels) and _fits(metric, part):
            figures[name].add((name, tuple(values), part), float(amount))
    yield from figures.values()


def _fits(metric: Metric, part: str) -> bool:
    if not metric.buckets:
        return part == ""
    return part == "sum" or (part.isdigit() and int(part) <= len(metric.buckets))
