"""Background work holds back while its process waits for processors."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from worker import throttle
from worker.throttle import (
    FIRST_SHARE,
    LEAST_SHARE,
    MOST_WAIT,
    STALE_SECONDS,
    STEP_DOWN,
    STEP_SECONDS,
    STEP_UP,
    CpuTime,
    Throttle,
    cpu_time,
)

SECOND = 1_000_000_000
SHORT, ENOUGH = MOST_WAIT + 0.1, MOST_WAIT - 0.1


def shares(waits: Iterable[float], *, gap: float = STEP_SECONDS) -> Iterator[float]:
    """Yield the share after each period, in which a thread ran a second and waited so many."""
    sums = itertools.accumulate(waits, initial=0)
    times = [CpuTime(number * SECOND, round(waited * SECOND)) for number, waited in enumerate(sums)]
    clock, readings = itertools.count(step=gap), iter(times)
    one = Throttle(lambda: next(readings), lambda: next(clock))
    return (one.share() for _ in times)


def test_a_batch_begins_at_a_part_of_the_rate() -> None:
    assert next(shares([])) == FIRST_SHARE


def test_the_share_grows_to_the_full_rate_while_there_are_processors() -> None:
    grown = list(shares([ENOUGH] * 30))
    assert grown[1] == pytest.approx(FIRST_SHARE + STEP_UP)
    assert grown == sorted(grown)
    assert grown[-1] == 1


def test_the_share_shrinks_to_the_least_while_processors_are_short() -> None:
    shrunk = list(shares([SHORT] * 30))
    assert shrunk[1] == pytest.approx(FIRST_SHARE * STEP_DOWN)
    assert shrunk == sorted(shrunk, reverse=True)
    assert shrunk[-1] == LEAST_SHARE


def test_the_share_recovers() -> None:
    *_, before, after = shares([SHORT] * 9 + [ENOUGH])
    assert after == pytest.approx(before + STEP_UP)


def test_a_long_time_without_a_question_says_nothing() -> None:
    assert set(shares([SHORT] * 5, gap=STALE_SECONDS)) == {FIRST_SHARE}


def test_questions_in_quick_succession_read_nothing() -> None:
    reads: list[int] = []

    def read() -> CpuTime:
        reads.append(1)
        return CpuTime(0, 0)

    one = Throttle(read, lambda: 5.0)
    assert {one.share() for _ in range(9)} == {FIRST_SHARE}
    assert len(reads) == 1


def test_a_thread_that_ended_makes_no_step() -> None:
    readings = iter([CpuTime(9 * SECOND, 9 * SECOND), CpuTime(SECOND, SECOND)])
    clock = itertools.count(step=STEP_SECONDS)
    one = Throttle(lambda: next(readings), lambda: next(clock))
    assert [one.share(), one.share()] == [FIRST_SHARE] * 2


def test_where_the_kernel_counts_nothing_the_rate_is_full(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(throttle, "THREADS", tmp_path)
    assert Throttle().share() == 1


@pytest.mark.skipif(cpu_time() is None, reason="this kernel does not count")
def test_the_kernel_counts_the_work_of_all_threads() -> None:
    """A second thread works, too; the sum grows by what both used, whatever else runs here."""
    before = cpu_time()
    worked, end = threading.Event(), threading.Event()

    def compute() -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass

    def work() -> None:
        compute()
        worked.set()
        end.wait(20)  # a thread that ended would no longer be counted

    other = threading.Thread(target=work)
    other.start()
    compute()
    worked.wait(20)
    after = cpu_time()
    end.set()
    other.join()
    assert before is not None
    assert after is not None
    assert after.ran - before.ran >= 0.1 * SECOND
    assert after.waited >= before.waited
