"""The limit on calls to Stripe at a time, and the times of the next tries."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from shared.errors import OverBudget
from worker.stripe_lines import LONGEST_SECONDS, SHORTEST_SECONDS, StripeLines


def put_off(lines: StripeLines, most: int) -> float:
    with pytest.raises(OverBudget) as refusal, lines.hold(most):
        pytest.fail("there was a line")
    return refusal.value.delay_seconds


@pytest.mark.parametrize("threads", [1, 2, 4, 16, 64])
def test_look_ups_and_refunds_leave_threads_to_other_work(threads: int) -> None:
    lines = StripeLines(threads)
    assert lines.for_refunds <= lines.for_look_ups
    assert lines.for_look_ups < threads or threads == 1
    with ExitStack() as stack:
        for _ in range(lines.for_look_ups):
            stack.enter_context(lines.hold(lines.for_look_ups))
        assert put_off(lines, lines.for_look_ups) > 0
        assert put_off(lines, lines.for_refunds) > 0
    with lines.hold(lines.for_refunds):
        pass


def test_a_call_that_fails_gives_its_line_back() -> None:
    lines = StripeLines(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="failed"), lines.hold(1):
            raise ValueError("failed")


def test_who_is_put_off_comes_back_in_turns_as_calls_end() -> None:
    lines = StripeLines(4)
    for _ in range(30):
        with lines.hold(3):
            time.sleep(0.03)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(lines.hold(3))
        delays = [put_off(lines, 3) for _ in range(100)]
    assert delays == sorted(delays)
    assert delays[0] == SHORTEST_SECONDS
    # A hundred calls of 0.03 s, three at a time, take a second.
    assert 0.5 < delays[-1] < 5


def test_nobody_is_put_off_for_longer_than_a_minute() -> None:
    lines = StripeLines(1)
    with lines.hold(1):
        assert [put_off(lines, 1) for _ in range(1000)][-1] <= LONGEST_SECONDS
