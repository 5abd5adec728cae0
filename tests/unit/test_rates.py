"""Rates: the figures of the console, and the delay of most notifications."""

import pytest

from shared.store.rates import COUNTED, place_of, quantile, rate_of
from shared.telemetry.tally import DELAY_BUCKETS, Series


@pytest.mark.parametrize(
    ("series", "rate"),
    [
        (("billing_webhooks", ("recorded",), ""), "events"),
        (("billing_webhooks", ("duplicate",), ""), None),
        (("billing_event_attempts", ("payment_intent.succeeded", "processed"), ""), "payments"),
        (("billing_event_attempts", ("payment_intent.succeeded", "retry"), ""), None),
        (
            ("billing_event_attempts", ("payment_intent.payment_failed", "processed"), ""),
            "declines",
        ),
        (("billing_attempts", ("refunds", "refunded"), ""), "refunds"),
        (("billing_attempts", ("notifications", "delivered"), ""), "notifications"),
        (("billing_attempts", ("notifications", "retry"), ""), "failures"),
        (("billing_attempts", ("events", "dead"), ""), "failures"),
        (("billing_http_requests", ("/api/webhook", "POST", "503"), ""), "failures"),
        (("billing_http_requests", ("/api/webhook", "POST", "400"), ""), None),
        (("billing_events_other_mode", ("test", "own"), ""), "other_mode"),
        (("billing_events_other_mode", ("test", "acct_1"), ""), "other_mode_connected"),
        (("billing_notification_delay_seconds", (), "3"), "delays"),
        (("billing_notification_delay_seconds", (), "sum"), None),
    ],
)
def test_a_figure_belongs_to_one_rate_or_to_none(series: Series, rate: str | None) -> None:
    assert rate_of(series) == rate
    number, part = place_of(series)
    assert number == (COUNTED.index(rate) + 1 if rate else 0)
    assert part == (":3" if rate == "delays" else "")


def spread(**counts: int) -> list[int]:
    """Build the number of delays in each part, by the number of the part."""
    return [counts.get(f"of_{number}", 0) for number in range(len(DELAY_BUCKETS) + 1)]


@pytest.mark.parametrize(
    ("counts", "share", "seconds"),
    [
        (spread(), 0.5, None),
        ([], 0.99, None),
        (spread(of_0=4), 0.5, 0.5),  # half of them are below the middle of 0 to 1 s
        (spread(of_0=50, of_4=50), 0.99, 9.9),  # 49 of the 50 are between 5 and 10 s
        (spread(of_12=1), 0.5, 86_400.0),  # beyond the last bound
        (spread(of_0=99, of_12=1), 0.99, 1.0),
    ],
)
def test_a_quantile_lies_between_the_bounds_of_its_part(
    counts: list[int], share: float, seconds: float | None
) -> None:
    assert quantile(counts, share) == (None if seconds is None else pytest.approx(seconds))
