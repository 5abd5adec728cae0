"""`python -m tests.mutants`: try every mutant, and write what kills it to docs/mutants.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.catalogue import Mutant, mutants
from tests.mutants.page import PAGE, killers_before, written
from tests.mutants.trial import Verdict, copy_of_the_tree, import_everything_foreign, tried

# More tests that fail without a mutant say that the tree is not worth trying.
MOST_RED = 5
# Asked when a mutant's own tests notice nothing: whatever works on items, all through.
REST = [
    "tests/unit",
    *(
        f"tests/integration/test_{name}.py"
        for name in (
            "work runner breaker dead_letters idempotency_key unknown_outcomes refund_life "
            "refund_balance webhook payment event_types reconcile ops metrics convergence"
        ).split()
    ),
]


def main() -> int:
    """Try what the command line asks for; 1 if one survived without an explanation."""
    parser = argparse.ArgumentParser(prog="bin/mutants", description=__doc__)
    parser.add_argument("parts", nargs="*", help="parts of labels (claim.lua, fence); all without")
    parser.add_argument("--own", action="store_true", help="ask each mutant's own tests alone")
    parser.add_argument("--first", type=int, default=None, help="of its own, ask so many files")
    parser.add_argument("--green", action="store_true", help="take it that all is well without")
    parser.add_argument("--no-page", action="store_true", help="leave docs/mutants.md as it is")
    asked = parser.parse_args()
    chosen = [one for one in mutants() if _is_asked_for(one, asked.parts)]
    import_everything_foreign()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        log = Path(folder) / "log"
        with copy_of_the_tree(Path(folder)) as copy:
            red = [] if asked.green else _red_without_a_mutant(copy, chosen, log)
            rest = [] if asked.own else REST
            attempt = Attempt(copy, log, rest, red, asked.first)
            verdicts = {one.label: attempt.at(one) for one in chosen}
    if not asked.no_page:
        PAGE.write_text(written(verdicts))
    survivors = [one for one in chosen if not verdicts[one.label].killer]
    unexplained = [one.label for one in survivors if not one.survives]
    _say(f"{len(chosen)} mutants, {len(survivors)} survived, {len(unexplained)} unexplained")
    _say("\n".join(unexplained))
    return int(bool(unexplained))


def _is_asked_for(mutant: Mutant, parts: list[str]) -> bool:
    return not parts or any(part in mutant.label for part in parts)


def _red_without_a_mutant(copy: Path, chosen: list[Mutant], log: Path) -> list[str]:
    """List the tests that fail anyway: they are not asked. Too many end the run."""
    found = tried(copy, sorted({test for one in chosen for test in one.tests}), log)
    if len(found.failed) > MOST_RED:
        raise SystemExit(f"without a mutant fail {found.failed}:\n{log.read_text()[-3000:]}")
    _say(f"without a mutant fail {list(found.failed)} ({found.seconds:.0f} s)")
    return [f"--deselect={name}" for name in found.failed]


@dataclass(frozen=True)
class Attempt:
    """What a mutant is tried on: the copy, the rest of the tests, and those that are not asked."""

    copy: Path
    log: Path
    rest: list[str]
    red: list[str]
    first: int | None = None

    def at(self, mutant: Mutant) -> Verdict:
        """Try one: on what killed it the last time, then on its own tests, then on the rest."""
        file = self.copy / mutant.file
        whole = file.read_text()
        file.write_text(mutant.applied_to(whole))
        others = [test for test in self.rest if test not in mutant.tests]
        seconds, found = 0.0, Verdict()
        try:
            for tests in (
                killers_before().get(mutant.label, []),
                mutant.tests[: self.first],
                others,
            ):
                if tests and not found.killer:
                    found = tried(self.copy, ["-x", *tests, *self.red], self.log)
                    seconds += found.seconds
        finally:
            file.write_text(whole)
        _say(f"{seconds:5.0f} s  {mutant.label}: {found.killer or 'SURVIVED'}")
        return Verdict(found.failed, seconds)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
