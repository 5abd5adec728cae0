"""`mutmut results --all true | python -m tests.mutants.score`: count the library's mutants by file.

Prints the table of docs/testing.md, and the names of the mutants that no test killed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

# Results that show that a test noticed the change: it failed, or did not end.
KILLED = ("killed", "timeout", "segfault")
UNTRIED = "not checked"


def main() -> int:
    """Print the counts of the results on standard input."""
    results = [_result(line) for line in sys.stdin if ": " in line]
    sys.stdout.write("\n".join([*_table(results), "", *_survivors(results), ""]))
    return 0


def _result(line: str) -> tuple[str, str]:
    name, _, status = line.strip().partition(": ")
    return name, status


def _table(results: Iterable[tuple[str, str]]) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for name, status in results:
        for row in (_file(name), "all"):
            counts.setdefault(row, Counter())[_kind(status)] += 1
    everything = counts.pop("all", Counter())
    head = ["| file | mutants | killed | survived | not tried |", "| --- | --- | --- | --- | --- |"]
    rows = [_row(f"`{file}`", counts[file]) for file in sorted(counts)]
    tried = everything.total() - everything["not tried"]
    score = 100 * everything["killed"] / tried if tried else 0.0
    return [*head, *rows, _row("all", everything), "", f"score: {score:.1f} % of {tried} tried"]


def _file(mutant: str) -> str:
    return mutant.rpartition(".")[0].replace(".", "/") + ".py"


def _kind(status: str) -> str:
    if status in KILLED:
        return "killed"
    return "not tried" if status == UNTRIED else "survived"


def _row(name: str, counts: Counter[str]) -> str:
    cells = [counts.total(), *(counts[kind] for kind in ("killed", "survived", "not tried"))]
    return f"| {name} | " + " | ".join(map(str, cells)) + " |"


def _survivors(results: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{status}: {name}" for name, status in results if _kind(status) == "survived"]


if __name__ == "__main__":
    sys.exit(main())
