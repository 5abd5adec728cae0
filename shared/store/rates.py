"""Rates: the counts of each five minutes of the last day, for the console.

Prometheus keeps such figures better and for longer; these show the flow of money without it. The
flusher writes them with the figures, into buckets of Redis's time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import cast

from shared.store.scripts import Store, redis_errors
from shared.telemetry.tally import (
    ATTEMPTS,
    DELAY_BUCKETS,
    EVENT_OUTCOMES,
    HTTP_REQUESTS,
    NOTIFICATION_DELAY,
    OTHER_MODE_EVENTS,
    OWN_ACCOUNT,
    WEBHOOKS,
    Series,
)

# Seconds of a bucket: fine enough to see a burst, coarse enough to show a day on a page.
BUCKET_SECONDS = 300
# Buckets that are kept: a day of them.
BUCKETS = 288
# What is counted, in the order of the script's keys.
COUNTED = (
    "events",
    "payments",
    "declines",
    "refunds",
    "notifications",
    "failures",
    "other_mode",
    "other_mode_connected",
    "delays",
)
EXACT = {
    (WEBHOOKS.name, ("recorded",)): "events",
    (EVENT_OUTCOMES.name, ("payment_intent.succeeded", "processed")): "payments",
    (EVENT_OUTCOMES.name, ("payment_intent.payment_failed", "processed")): "declines",
    (ATTEMPTS.name, ("refunds", "refunded")): "refunds",
    (ATTEMPTS.name, ("notifications", "delivered")): "notifications",
}
FAILED_OUTCOMES = ("retry", "dead")


def rate_of(series: Series) -> str | None:
    """Name the rate that a series of the figures belongs to, None for most."""
    name, values, part = series
    if name == NOTIFICATION_DELAY.name:
        return None if part == "sum" else "delays"
    if name == ATTEMPTS.name and values[1] in FAILED_OUTCOMES:
        return "failures"
    if name == OTHER_MODE_EVENTS.name:
        return "other_mode" if values[1] == OWN_ACCOUNT else "other_mode_connected"
    if name == HTTP_REQUESTS.name and values[2].startswith("5"):
        return "failures"
    return EXACT.get((name, values))


def names(store: Store) -> list[str]:
    """Name the keys of the rates, in the script's order."""
    return [store.keys.rates(rate) for rate in COUNTED]


def place_of(series: Series) -> tuple[int, str]:
    """Return a rate's number among the script's keys (from 1; 0: none) and its part of a bucket."""
    rate = rate_of(series)
    if rate is None:
        return 0, ""
    return COUNTED.index(rate) + 1, f":{series[2]}" if rate == "delays" else ""


def read(store: Store, buckets: int) -> tuple[int, dict[str, list[int]], list[list[int]]]:
    """Read the latest buckets, the present one last.

    Gives the Unix second the first begins at, each count by bucket, and for each bucket how many
    delays fell between two bounds of `DELAY_BUCKETS`. Raises `Unavailable`.
    """
    last = store.now_ms() // (BUCKET_SECONDS * 1000)
    numbers = range(last - buckets + 1, last + 1)
    parts = range(len(DELAY_BUCKETS) + 1)
    with redis_errors():
        pipe = store.redis.pipeline(transaction=False)
        for rate in COUNTED[:-1]:
            pipe.hmget(store.keys.rates(rate), [str(number) for number in numbers])
        fields = [f"{number}:{part}" for number in numbers for part in parts]
        pipe.hmget(store.keys.rates(COUNTED[-1]), fields)
        *counts, delays = cast(list[list[str | None]], pipe.execute())
    by_rate = dict(zip(COUNTED, (_numbers(row) for row in counts), strict=False))
    return numbers.start * BUCKET_SECONDS, by_rate, list(_rows(_numbers(delays), len(parts)))


def _numbers(row: Sequence[str | None]) -> list[int]:
    return [round(float(text or 0)) for text in row]


def _rows(flat: list[int], length: int) -> Iterator[list[int]]:
    for start in range(0, len(flat), length):
        yield flat[start : start + length]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Estimate a quantile of the delays, in seconds; None without delays.

    The estimate is linear between two bounds, as in Prometheus' `histogram_quantile`; above the
    last bound it is the last bound.
    """
    sums = list(accumulate(counts))
    if not sums or sums[-1] == 0:
        return None
    rank = share * sums[-1]
    number = next(index for index, total in enumerate(sums) if total >= rank)
    if number >= len(DELAY_BUCKETS):
        return DELAY_BUCKETS[-1]
    low = DELAY_BUCKETS[number - 1] if number else 0.0
    before = sums[number - 1] if number else 0
    inside = (rank - before) / counts[number] if counts[number] else 0.0
    return low + (DELAY_BUCKETS[number] - low) * inside
