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
Each row of the tables is one mutant: what the change does, and what notices it (*kills* it). That
is an invariant that the [explorer](invariants.md#the-explorer) finds broken, or the first test
that fails. When the explorer kills a mutant, the tests are not tried. A test counts only if it
fails twice with the change and passes without it.

`make mutants` tries all mutants without a result (`ARGS="--again"`: all mutants) in a copy of the
files, and writes this page from `tests/mutants/results.json`. The changes are in
`tests/mutants/catalogue.toml`. A convention test fails when a change no longer fits its file, or
when this page does not match the results.

"""


def written(results: Mapping[str, Result]) -> str:
    """Render the page."""
    everyone = mutants()
    seen = {one.label: result for one in everyone if (result := results.get(one.label))}
    dead = [one for one in seen.values() if one.killer]
    alive = [one for one in seen.values() if one.is_final and not one.killer]
    explorers = sum(bool(one.explorer) for one in dead)
    alone = sum(bool(one.explorer) and one.tests == "" for one in dead)
    left = len(everyone) - len(dead) - len(alive)
    counts = (
        f"{len(everyone)} mutants: {len(dead)} killed ({explorers} of them by the explorer, and "
        f"for {alone} of these no test fails), {len(alive)} not killed and explained, {left} not "
        "yet tried with all tests.\n"
    )
    tables = [
        _table(file, list(of_file), seen)
        for file, of_file in groupby(everyone, lambda one: one.file)
    ]
    return HEAD + counts + "".join(tables)


def _table(file: str, of_file: list[Mutant], results: Mapping[str, Result]) -> str:
    rows = [f"| {one.name} | {_outcome(one, results.get(one.label))} |" for one in of_file]
    return "\n".join([f"\n## `{file}`\n", "| change | killed by |", "| --- | --- |", *rows, ""])


def _outcome(mutant: Mutant, result: Result | None) -> str:
    if not result or not result.is_final:
        return "not yet tried with all tests"
    since = "" if result.is_of(mutant) else " (result of an earlier form of the change)"
    if not result.killer:
        return f"nothing: {mutant.survives or 'not explained'}{since}"
    if not result.explorer:
        return f"`{result.killer.replace('|', ' ')}`{since}"
    alone = "; no test fails" if result.tests == "" else ""
    return f"the explorer: {result.explorer}{alone}{since}"
