"""Deadlines: the earliest counts, and each ends with its block."""

import threading

from shared.deadline import deadline, remaining


def test_without_a_deadline_there_is_no_end() -> None:
    assert remaining() is None


def test_the_earlier_of_two_deadlines_counts() -> None:
    with deadline(10):
        with deadline(60):
            assert 9 < (remaining() or 0) <= 10
        with deadline(1):
            assert 0 < (remaining() or 0) <= 1
        assert 9 < (remaining() or 0) <= 10
    assert remaining() is None


def test_a_deadline_that_has_passed_leaves_nothing() -> None:
    with deadline(-1):
        assert remaining() == 0


def test_a_deadline_is_its_threads_own() -> None:
    deadlines: list[float | None] = []
    with deadline(10):
        thread = threading.Thread(target=lambda: deadlines.append(remaining()))
        thread.start()
        thread.join()
    assert deadlines == [None]
