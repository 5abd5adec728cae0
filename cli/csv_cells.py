"""Format the cells of a CSV file so that no spreadsheet runs what a customer wrote.

`console/page/csv.js` does the same in the browser, and `tests/fixtures/csv_cells.json` is the rule
of both.
"""

from __future__ import annotations

from shared.printable import printable

# A spreadsheet reads a text that begins with one of these as a formula; some read the wide ones of
# Chinese and Japanese keyboards so, too, and some skip spaces before it.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_cell(value: str | int | None) -> str:
    """Return the text of a cell: a number as it is, a text in one line and never as a formula.

    Invisible characters are escaped, so that none hides the sign with which a text begins.
    """
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = printable(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text
