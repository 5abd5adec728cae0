"""No spreadsheet runs a cell of a report, whatever Stripe or a customer wrote."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from cli.csv_cells import csv_cell

CELLS = json.loads((Path(__file__).parents[1] / "fixtures" / "csv_cells.json").read_text("utf-8"))


@pytest.mark.parametrize(("value", "cell"), CELLS)
def test_a_cell_is_one_line_and_no_formula(value: str | int | None, cell: str) -> None:
    assert csv_cell(value) == cell


def test_a_row_is_read_as_it_was_written() -> None:
    file = io.StringIO()
    cells = [csv_cell(value) for value, _ in CELLS]
    csv.writer(file, lineterminator="\n").writerow(cells)
    assert file.getvalue().count("\n") == 1
    file.seek(0)
    assert list(csv.reader(file)) == [cells]
