"""Write docs/mutants.md from the results: the table of what kills each mutant."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from tests.mutants.catalogue import Mutant, mutants
from tests.mutants.results import Result
from tests.mutants.trial import ROOT

PAGE = ROOT / "docs" / "mutants.md"
HEAD = """# Mutants

A mutant is one change to a script or to the Python code that decides what to do with an item.
Each row of the tables is one mutant: what the change does, and what notices it (*kills* it): the
invariant that the [explorer](invariants.md#the-explorer) finds broken, and the first test that
fails. The explorer searches each of its configurations that run the changed file for 5 CPU seconds
at most. A new test counts only if it fails twice with the change and passes without it.

`make mutants` tries all mutants without a result (`ARGS="--again"`: all mutants) in a copy of the
files, and writes this page from `tests/mutants/results.json`. It stops at the first thing that
kills a mutant; `ARGS="--both"` runs the explorer and the tests for each. The changes are in
`tests/mutants/catalogue.toml`. A convention test fails when a change no longer fits its file, or
when this page does not match the results.

"""


def written(results: Mapping[str, Result]) -> str:
    """Render the page."""
    everyone = mutants()
    by_label = {one.label: result for one in everyone if (result := results.get(one.label))}
    dead = [one for one in by_label.values() if one.killer]
    alive = [one for one in by_label.values() if one.is_final and not one.killer]
    searched = [one for one in everyone if one.explorer and _explorer(by_label.get(one.label))]
    kills = sum(bool(one.explorer) for one in dead)
    alone = sum(bool(one.explorer) and one.tests == "" for one in dead)
    left = len(everyone) - len(dead) - len(alive)
    counts = (
        f"{len(everyone)} mutants: {len(dead)} killed, {len(alive)} not killed and explained, "
        f"{left} not yet tried with all tests. The explorer was tried on {len(searched)} of them "
        f"and kills {kills}; for {alone} of these no test fails.\n"
    )
    tables = [
        _table(file, list(of_file), by_label)
        for file, of_file in groupby(everyone, lambda one: one.file)
    ]
    return HEAD + counts + "".join(tables)


def _explorer(result: Result | None) -> bool:
    return result is not None and result.explorer is not None


def _table(file: str, of_file: list[Mutant], results: Mapping[str, Result]) -> str:
    rows = [_row(one, results.get(one.label) or Result("")) for one in of_file]
    head = ["| change | explorer | tests |", "| --- | --- | --- |"]
    return "\n".join([f"\n## `{file}`\n", *head, *rows, ""])


def _row(mutant: Mutant, result: Result) -> str:
    since = "" if result.is_of(mutant) or not result.digest else " (an earlier form of the change)"
    explorer = "does not run this file" if not mutant.explorer else _cell(result.explorer, "{}")
    tests = _cell(result.tests, "`{}`")
    if result.is_final and not result.killer:
        tests = f"nothing: {mutant.survives or 'not explained'}"
    return f"| {mutant.name} | {explorer} | {tests}{since} |"


def _cell(killer: str | None, form: str) -> str:
    """Name what killed a mutant; None: it was not tried."""
    if killer is None:
        return "not tried"
    return form.format(killer.replace("|", " ")) if killer else "nothing"
