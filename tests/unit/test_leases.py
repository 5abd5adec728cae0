"""Leases: longer than the longest attempt, but not much longer."""

from __future__ import annotations

import pytest

from shared.settings import CONNECT_TIMEOUT_SECONDS
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS, Kind
from tests.conftest import make_settings


@pytest.mark.parametrize("seconds", [1, 10, 80])
def test_a_lease_outlives_every_call_to_stripe_that_an_attempt_may_make(seconds: int) -> None:
    settings = make_settings(stripe_timeout_seconds=seconds)
    call_ms = (CONNECT_TIMEOUT_SECONDS + seconds) * 1000
    assert EVENTS.lease_ms(settings) > 3 * call_ms
    assert REFUNDS.lease_ms(settings) > call_ms


@pytest.mark.parametrize("seconds", [1, 10, 30])
def test_a_lease_outlives_the_slowest_delivery(seconds: int) -> None:
    settings = make_settings(event_service_timeout_seconds=seconds)
    assert NOTIFICATIONS.lease_ms(settings) > (CONNECT_TIMEOUT_SECONDS + seconds) * 1000


@pytest.mark.parametrize("kind", [EVENTS, REFUNDS, NOTIFICATIONS])
def test_what_a_killed_worker_held_is_taken_up_within_a_minute(kind: Kind) -> None:
    assert kind.lease_ms(make_settings()) < 60_000
