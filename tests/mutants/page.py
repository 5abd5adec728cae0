"""docs/mutants.md: the table of what kills each mutant, made of the results."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from tests.mutants.catalogue import Mutant, mutants
from tests.mutants.results import Result
from tests.mutants.trial import ROOT

PAGE = ROOT / "docs" / "mutants.md"
HEAD = """# Mutants

Each line is one change to a script or to the policy, tried in a copy of the tree: which invariant
the [explorer](invariants.md) then finds broken, or else the first test that failed. The tests of
what the explorer finds were not asked, unless the line says that they noticed nothing. A test
counts as a killer when it failed twice with the change, and passed without it. `make mutants` tries
all that has no result yet (`ARGS="--again"`: all) and writes this page from
`tests/mutants/results.json`; the changes are in `tests/mutants/catalogue.toml`. A test of the
ordinary suite fails when a change no longer fits its file, or when this page is not the one that
the results make.

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
        f"{len(everyone)} mutants: {len(dead)} killed ({explorers} by the explorer, {alone} of "
        f"them by nothing else), {len(alive)} alive and explained, {left} not tried to the end.\n"
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
        return "not tried to the end"
    since = "" if result.is_of(mutant) else " (seen before the change was written anew)"
    if not result.killer:
        return f"survives: {mutant.survives or 'not explained'}{since}"
    if not result.explorer:
        return f"`{result.killer.replace('|', ' ')}`{since}"
    alone = "; no test notices it" if result.tests == "" else ""
    return f"the explorer: {result.explorer}{alone}{since}"
