"""`python -m tests.mutants`: try every mutant, and write docs/mutants.md from the results."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mutants import results
from tests.mutants.catalogue import Mutant, mutants
from tests.mutants.page import PAGE, written
from tests.mutants.results import Result
from tests.mutants.trial import Ground, explored, ground, import_everything_foreign, tested

# Tried when none of a mutant's own tests fails: all tests of code that works on items.
REST = [
    "tests/unit",
    *(
        f"tests/integration/test_{name}.py"
        for name in (
            "work_kept work runner breaker dead_letters idempotency_key unknown_outcomes "
            "refund_life refund_balance webhook payment event_types reconcile ops metrics "
            "convergence"
        ).split()
    ),
]


def main() -> int:
    """Try the mutants of the command line; return 1 if one survived without an explanation."""
    options = _parser().parse_args()
    selection = [one for one in mutants() if _is_asked_for(one, options.parts)]
    import_everything_foreign()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ground(Path(folder)) as place:
        attempt = Attempt(place, own=options.own, both=options.both, again=options.again)
        todo = [one for one in selection if not attempt.is_done(one)]
        _believe(place, _tried(options.seconds, attempt, todo))
    by_label = results.read()
    PAGE.write_text(written(by_label))
    return _conclusion(selection, by_label)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/mutants", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", help="parts of labels (claim.lua, fence); all mutants without it"
    )
    parser.add_argument("--again", action="store_true", help="also try mutants that have a result")
    parser.add_argument("--own", action="store_true", help="run each mutant's own tests only")
    parser.add_argument(
        "--both", action="store_true", help="run the explorer and the tests, whichever kills it"
    )
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="begin no mutant after this many seconds"
    )
    return parser


def _is_asked_for(mutant: Mutant, parts: list[str]) -> bool:
    return not parts or any(part in mutant.label for part in parts)


def _tried(seconds: float, attempt: Attempt, todo: list[Mutant]) -> list[str]:
    """Try the mutants in turn and store each result, until the time is over; list the labels."""
    until = time.monotonic() + seconds
    for number, one in enumerate(todo):
        if time.monotonic() > until:
            _say(f"the time is over; {one.label} and those after it were not tried")
            return [mutant.label for mutant in todo[:number]]
        start = time.monotonic()
        result = attempt.at(one)
        results.write(results.read() | {one.label: result})
        spent = time.monotonic() - start
        killers = " and ".join(filter(None, (result.explorer, result.tests)))
        _say(f"{spent:5.0f} s  {one.label}: {killers or 'SURVIVED'}")
    return [one.label for one in todo]


def _believe(place: Ground, labels: list[str]) -> None:
    """Forget the tests that also fail without a mutant."""
    by_label = results.read()
    killers = sorted(name for label in labels if "::" in (name := by_label[label].tests or ""))
    red = tested(place, sorted({*killers})) if killers else []
    _say(f"without a mutant fail: {red}")
    doubtful = {one for one in labels if by_label[one].tests in red}
    results.write({k: replace(v, tests=None) if k in doubtful else v for k, v in by_label.items()})


def _conclusion(selection: list[Mutant], by_label: dict[str, Result]) -> int:
    final = [one for one in selection if one.label in by_label and by_label[one.label].is_final]
    survivors = [one for one in final if not by_label[one.label].killer]
    unexplained = [one.label for one in survivors if not one.survives]
    _say(f"{len(final)} of {len(selection)} mutants tried, {len(survivors)} survived")
    _say("\n".join(("unexplained:", *unexplained)) if unexplained else "all explained")
    return int(bool(unexplained))


@dataclass(frozen=True)
class Attempt:
    """How mutants are tried: on which copy, and with which tests."""

    place: Ground
    own: bool = False
    both: bool = False
    again: bool = False

    def is_done(self, mutant: Mutant) -> bool:
        """Say whether a result is known for all that this attempt would try."""
        earlier = self._earlier(mutant)
        if self.both:
            return earlier.tests is not None and earlier.explorer is not None
        return earlier.is_final or (self.own and earlier.explorer is not None)

    def at(self, mutant: Mutant) -> Result:
        """Try what has no result: its last killer, the explorer, its own tests, the rest."""
        file = self.place.copy / mutant.file
        whole = file.read_text()
        file.write_text(mutant.applied_to(whole))
        try:
            return self._tried(mutant, self._earlier(mutant))
        finally:
            file.write_text(whole)

    def _earlier(self, mutant: Mutant) -> Result:
        """Return the result of the change in its current form, or an empty one."""
        one = results.read().get(mutant.label)
        return one if one and one.is_of(mutant) and not self.again else Result(mutant.digest)

    def _tried(self, mutant: Mutant, earlier: Result) -> Result:
        tests = earlier.tests if earlier.tests is not None else self._killer_before(mutant)
        if tests and not self.both:
            return Result(mutant.digest, earlier.explorer, tests)
        explorer = earlier.explorer
        if explorer is None:
            explorer = explored(self.place, mutant.explorer)
        if tests is not None or (explorer and not self.both):
            return Result(mutant.digest, explorer, tests)
        killer = next(self._killers(mutant), "")
        asked_all = bool(killer) or not self.own
        return Result(mutant.digest, explorer, killer if asked_all else None)

    def _killer_before(self, mutant: Mutant) -> str | None:
        """Run the test that killed it the last time, which costs least."""
        before = results.read().get(mutant.label)
        if not before or "::" not in (before.tests or ""):
            return None
        return next(iter(tested(self.place, ["-x", str(before.tests)])), None)

    def _killers(self, mutant: Mutant) -> Iterator[str]:
        """Name the first test that fails, and run it once more."""
        rest = [] if self.own else [one for one in REST if one not in mutant.tests]
        for tests in filter(None, (mutant.tests, rest)):
            for name in tested(self.place, ["-x", *tests])[:1]:
                yield from tested(self.place, ["-x", name]) if "::" in name else [name]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
