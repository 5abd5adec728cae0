"""The delay before a retry: bounds, growth, jitter and `Retry-After`."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from worker.schedule import retry_delay_seconds

NUMBERS = st.integers(1, 200)


@given(attempt=NUMBERS, seed=st.integers())
def test_a_delay_is_never_above_its_step_nor_the_cap(attempt: int, seed: int) -> None:
    delay = retry_delay_seconds(attempt, base_seconds=1, cap_seconds=3600, dice=Random(seed))
    assert 0 <= delay <= min(3600, 2 ** (attempt - 1))


@given(attempt=NUMBERS, retry_after=st.floats(0, 10_000))
def test_retry_after_is_obeyed_up_to_the_cap(attempt: int, retry_after: float) -> None:
    delay = retry_delay_seconds(
        attempt, base_seconds=1, cap_seconds=3600, dice=Random(1), retry_after_seconds=retry_after
    )
    assert min(retry_after, 3600) <= delay <= 3600


def test_the_jitter_is_full() -> None:
    dice = Random(7)
    delays = [
        retry_delay_seconds(5, base_seconds=1, cap_seconds=3600, dice=dice) for _ in range(500)
    ]
    assert min(delays) < 1
    assert max(delays) > 15
