"""docs/mutants.md: the table of what kills each mutant, written and read again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby

from tests.mutants.catalogue import Mutant, mutants
from tests.mutants.trial import ROOT, Verdict

PAGE = ROOT / "docs" / "mutants.md"
HEAD = """# Mutants

Each line is one change to a script or to the policy, and the first test that failed with it in a
copy of the tree. `make mutants` tries all of them and writes this page; the changes are in
`tests/mutants/catalogue.toml`. A test of the ordinary suite fails when a change no longer fits its
file, or when this page lacks one.

"""
ROW = re.compile(r"^\| (?P<name>[^|]+) \| `(?P<killer>tests/[^`]+)` \|$", re.MULTILINE)
TITLE = re.compile(r"^## `(?P<file>[^`]+)`$", re.MULTILINE)


def written(verdicts: Mapping[str, Verdict]) -> str:
    """Render the page: what was tried now, and of all others what the page said before."""
    before = {label: tests[0] for label, tests in killers_before().items()}
    killers = before | {label: found.killer for label, found in verdicts.items()}
    everyone = mutants()
    dead = sum(bool(killers.get(one.label)) for one in everyone)
    left = sum(one.label not in killers for one in everyone)
    alive = len(everyone) - dead - left
    counts = (
        f"{len(everyone)} mutants: {dead} killed, {alive} alive, {left} not tried to the end.\n"
    )
    tables = [
        _table(file, list(of_file), killers)
        for file, of_file in groupby(everyone, lambda one: one.file)
    ]
    return HEAD + counts + "".join(tables)


def _table(file: str, of_file: list[Mutant], killers: Mapping[str, str]) -> str:
    rows = [f"| {one.name} | {_said(one, killers.get(one.label))} |" for one in of_file]
    return "\n".join([f"\n## `{file}`\n", "| change | killed by |", "| --- | --- |", *rows, ""])


def _said(mutant: Mutant, killer: str | None) -> str:
    if killer is None:
        return "not tried so far"
    if not killer:
        return f"survives: {mutant.survives or 'not explained'}"
    return f"`{killer.replace('|', ' ')}`"


def killers_before() -> dict[str, list[str]]:
    """Read from the page which test killed a mutant the last time, by its label."""
    if not PAGE.exists():
        return {}
    found: dict[str, list[str]] = {}
    parts = TITLE.split(PAGE.read_text())[1:]
    for file, table in zip(parts[::2], parts[1::2], strict=True):
        for row in ROW.finditer(table):
            label = f"{file.rpartition('/')[2]}: {row['name']}"
            found[label] = [row["killer"]]
    return found
