"""docs/command-line.md has every command of `./billing`, and each command takes `--json`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from cli.commands import app
from tests.conventions.tracked import ROOT

PAGE = (ROOT / "docs/command-line.md").read_text()
WORD = re.compile(r"[a-z][a-z-]*")


def commands(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """List every command with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


def documented() -> set[str]:
    """List the commands of the table; a row may name further ones of its group."""
    names = set()
    for row in re.findall(r"^\| (`\./billing.*?) \|", PAGE, re.MULTILINE):
        group: list[str] = []
        for span in re.findall(r"`([^`]+)`", row):
            words = list(filter(WORD.fullmatch, span.removeprefix("./billing ").split()))
            if span.startswith("./billing"):
                group = words[:-1]
                names.add(" ".join(words))
            else:
                names.add(" ".join([*group, *words]))
    return names


EVERY = dict(commands(typer.main.get_command(app)))


def test_the_table_has_every_command_and_no_other() -> None:
    assert documented() == set(EVERY)


def test_every_command_takes_json() -> None:
    without = [
        name
        for name, command in EVERY.items()
        if "--json" not in {option for one in command.params for option in one.opts}
    ]
    assert without == []
