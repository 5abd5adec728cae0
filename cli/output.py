"""Print for a person, or with `--json` for a script.

On a terminal, tables fit its width and states have colours (`NO_COLOR` turns them off): long texts
are cut first, and where that does not do, every row becomes a block of lines, for no id is torn.
Elsewhere every cell is whole, one row a line. Whatever comes from others is escaped first.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.printable import printable, printable_lines

Json = dict[str, Any]
COLOURS = {
    "dead": "bold red",
    "failed": "red",
    "error": "bold red",
    "warning": "yellow",
    "retrying": "yellow",
    "open": "yellow",
    "processing": "cyan",
    "ok": "green",
    "processed": "green",
    "delivered": "green",
    "succeeded": "green",
    "finished": "green",
    "closed": "green",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00")
# What gives way on a narrow terminal; ids and states never do.
CUT = ("error", "reason", "what", "customer_email")
# Columns between two columns of a table, and the fewest that still say something of a long text.
GAP = 2
NARROWEST = 12


def as_json(value: Any) -> None:
    """Print JSON, indented."""
    print_line(printable_lines(json.dumps(value, indent=2, ensure_ascii=False)))


def json_line(value: Any) -> None:
    """Print JSON in one line."""
    print_line(printable_lines(json.dumps(value, ensure_ascii=False)))


def print_line(*parts: str) -> None:
    """Print texts of this program; on a terminal a state has its colour."""
    console = Console(highlight=False)
    console.print(Text(" ").join(colour(part) for part in parts), soft_wrap=True)


def colour(text: str) -> Text:
    """Colour a text, if it is a state."""
    return Text(text, style=COLOURS.get(text.strip(), ""))


def table(rows: list[Json], *columns: str) -> None:
    """Print rows as columns under their names."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    titles = [column.upper().replace("_", " ") for column in columns]
    console = Console(highlight=False)
    if console.is_terminal:
        shorter = [[_to_the_second(cell) for cell in row] for row in cells]
        room = _room(titles, shorter, columns, console.width)
        if room is None:
            _print_blocks(console, titles, shorter)
        else:
            console.print(_fitting(titles, shorter, columns, room))
        return
    lines = [titles, *cells]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print_line("  ".join(padded).rstrip())


def _fitting(
    titles: list[str], cells: list[list[str]], columns: tuple[str, ...], room: int
) -> Table:
    """Build a table in which long texts are cut to their room."""
    fitting = Table(box=None, header_style="bold", pad_edge=False)
    for title, column in zip(titles, columns, strict=True):
        width = room if column in CUT else None
        fitting.add_column(title, overflow="ellipsis", no_wrap=True, max_width=width)
    for row in cells:
        fitting.add_row(*(colour(cell) for cell in row))
    return fitting


def _print_blocks(console: Console, titles: list[str], cells: list[list[str]]) -> None:
    """Print each row as a block, a line for each field, with an empty line between two."""
    for number, row in enumerate(cells):
        if number:
            console.print()
        block = Table(box=None, show_header=False, pad_edge=False)
        block.add_column(style="bold", no_wrap=True)
        block.add_column(overflow="fold")
        for title, cell in zip(titles, row, strict=True):
            block.add_row(title, colour(cell))
        console.print(block)


def _room(
    titles: list[str], cells: list[list[str]], columns: tuple[str, ...], width: int
) -> int | None:
    """Say how wide each column of long texts may be when all others are shown whole.

    None where the table does not fit at all.
    """
    by_column = zip(columns, zip(titles, *cells, strict=True), strict=True)
    widths = [(column in CUT, max(map(len, texts))) for column, texts in by_column]
    texts = [wide for gives_way, wide in widths if gives_way]
    others = sum(wide for gives_way, wide in widths if not gives_way)
    room = (width - others - GAP * (len(columns) - 1)) // max(1, len(texts))
    fewest = min(NARROWEST, max(texts, default=0))
    return room if room >= fewest else None


def fields(item: Json) -> None:
    """Print one item, a line for each field; a nested value is printed as JSON."""
    for name, value in item.items():
        if isinstance(value, (dict, list)):
            print_line(f"{printable(name)}:")
            rows = value if isinstance(value, list) else [value]
            for row in rows:
                print_line("  " + printable(json.dumps(row, ensure_ascii=False)))
        elif value is not None:
            print_line(f"{printable(name)}:", printable(str(value)))


def second(unix_seconds: int) -> str:
    """Format a Unix time as RFC 3339, in UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _to_the_second(cell: str) -> str:
    """Shorten a time (RFC 3339, UTC, with milliseconds) to whole seconds."""
    return f"{cell[:19]}Z" if TIME.fullmatch(cell) else cell


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return printable(f"{value:.1f}" if isinstance(value, float) else str(value))
