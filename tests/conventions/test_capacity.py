"""The capacity table of going-live.md is computed from the measured one above it."""

from __future__ import annotations

import re

import pytest

from tests.conventions.tracked import ROOT

PAGE = (ROOT / "docs/going-live.md").read_text().split("## How large")[1]
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
# "Redis needs an eighth more than the sum."
OVERHEAD = 1.125
DAYS_A_MONTH = 30
# A size is rounded to one or two digits, a rate to one.
TOLERANCE, TOLERANCE_OF_RATE = 0.035, 0.1
SIZE = re.compile(r"([\d.]+) ([kMG]B)")


def size(cell: str) -> float:
    """Read a size in bytes."""
    ((number, unit),) = SIZE.findall(cell)
    return float(number) * UNITS[unit]


def row_of(beginning: str) -> str:
    """Return the last cell of a row of the measured table."""
    (cell,) = re.findall(rf"^\| {re.escape(beginning)}.*\| (.+) \|$", PAGE, re.MULTILINE)
    return str(cell)


def memory(payments: int, retention_days: int) -> float:
    """Sum up what Redis keeps, in bytes, when each part has reached its retention."""
    a_day = payments / DAYS_A_MONTH
    parts = (("24 hours", 1), ("48 hours", 2), ("31 days", 31), ("180 days", retention_days))
    return OVERHEAD * sum(
        a_day * days * size(row_of(f"Redis, for {words}")) for words, days in parts
    )


ROWS = re.findall(r"^\| ([\d,]{5,}) \| (.*) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("payments", "cells"), ROWS)
def test_a_row_follows_from_the_measured_ones(payments: str, cells: str) -> None:
    count = int(payments.replace(",", ""))
    a_day = count / DAYS_A_MONTH
    rate, long, short, journal, logs = cells.split(" | ")
    assert float(rate) == pytest.approx(a_day / 10 / 3600, rel=TOLERANCE_OF_RATE)
    assert size(long) == pytest.approx(memory(count, 180), rel=TOLERANCE)
    assert size(short) == pytest.approx(memory(count, 30), rel=TOLERANCE)
    assert size(journal) == pytest.approx(a_day * size(row_of("append-only file")), rel=TOLERANCE)
    assert size(logs) == pytest.approx(a_day * size(row_of("logs")), rel=TOLERANCE)


def test_there_are_rows() -> None:
    assert len(ROWS) == 3
