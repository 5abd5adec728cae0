"""Print for a person, or with `--json` for a script."""

from __future__ import annotations

import json
from typing import Any

import typer

Json = dict[str, Any]
# A longer cell is cut: a line should fit a terminal; `show` and `--json` tell all.
WIDEST = 60


def as_json(value: Any) -> None:
    """Print JSON, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(rows: list[Json], *columns: str) -> None:
    """Print rows as aligned columns under their names."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    lines = [[column.upper().replace("_", " ") for column in columns], *cells]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def fields(item: Json) -> None:
    """Print one item, a line for each field, what is nested as JSON below its name."""
    for name, value in item.items():
        if isinstance(value, (dict, list)):
            typer.echo(f"{name}:")
            rows = value if isinstance(value, list) else [value]
            for row in rows:
                typer.echo("  " + json.dumps(row, ensure_ascii=False))
        elif value is not None:
            typer.echo(f"{name}: {value}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
