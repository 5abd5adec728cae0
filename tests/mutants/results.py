"""Results of the mutants, stored in results.json: a run continues where the last one ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.catalogue import Mutant, mutants

RESULTS_FILE = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Result:
    """The result of one change.

    `explorer` and `tests` name what failed; "" means that nothing failed, None that it was not
    tried.
    """

    digest: str
    explorer: str | None = None
    tests: str | None = None

    @property
    def killer(self) -> str:
        """Name what noticed the change; "" if nothing did."""
        return self.explorer or self.tests or ""

    def is_of(self, mutant: Mutant) -> bool:
        """Say whether this is the result of the change in its current form."""
        return self.digest == mutant.digest

    @property
    def is_final(self) -> bool:
        """Say whether the mutant was killed, or was tried with everything."""
        return bool(self.killer) or self.tests is not None


def read() -> dict[str, Result]:
    """Read the results, by label."""
    if not RESULTS_FILE.exists():
        return {}
    return {label: Result(**row) for label, row in json.loads(RESULTS_FILE.read_text()).items()}


def write(results: Mapping[str, Result]) -> None:
    """Write the results of the mutants on the list, in the order of the list."""
    labels = [one.label for one in mutants() if one.label in results]
    rows = {label: asdict(results[label]) for label in labels}
    RESULTS_FILE.write_text(json.dumps(rows, indent=1) + "\n")
