from __future__ import annotations

import pytest

from sandbox.world.rate_limits import ACCOUNT_RATE, ENDPOINT_RATE, Limits, RateLimits, from_setting


class Time:
    """A clock that stands still until a test moves it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_calls_pass_up_to_the_limit_of_any_second() -> None:
    time = Time()
    limits = RateLimits(time)
    limits.limit(Limits(per_endpoint=2))
    assert [limits.take("a", "GET /x") for _ in range(3)] == [None, None, ENDPOINT_RATE]
    assert limits.take("a", "GET /y") is None
    assert limits.take("b", "GET /x") is None
    time.now += 0.9
    assert limits.take("a", "GET /x") == ENDPOINT_RATE
    time.now += 0.2
    assert limits.take("a", "GET /x") is None


def test_refused_calls_do_not_count() -> None:
    time = Time()
    limits = RateLimits(time)
    limits.limit(Limits(per_endpoint=1, per_account=2))
    assert limits.take("a", "GET /x") is None
    assert [limits.take("a", "GET /x") for _ in range(5)] == [ENDPOINT_RATE] * 5
    assert limits.take("a", "GET /y") is None
    assert limits.take("a", "GET /z") == ACCOUNT_RATE
    assert limits.refused == {ENDPOINT_RATE: 5, ACCOUNT_RATE: 1}


def test_settings_are_off_stripes_or_two_numbers() -> None:
    assert from_setting("") == from_setting("off") == Limits()
    assert from_setting("stripe") == Limits(25, 100)
    assert from_setting("5,7") == Limits(5, 7)
    with pytest.raises(ValueError, match="fast"):
        from_setting("fast")
