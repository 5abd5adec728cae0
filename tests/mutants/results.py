"""What was seen of each mutant, kept in results.json: a run goes on where the last one ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.catalogue import Mutant, mutants

KEPT = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Result:
    """What the explorer and the tests said of one change.

    `explorer` and `tests` name what failed; "" says that nothing did, None that it was not asked.
    """

    digest: str
    explorer: str | None = None
    tests: str | None = None

    @property
    def killer(self) -> str:
        """Name what noticed the change, "" if nothing did."""
        return self.explorer or self.tests or ""

    def is_of(self, mutant: Mutant) -> bool:
        """Say whether it was seen of the change as the list has it now."""
        return self.digest == mutant.digest

    @property
    def is_final(self) -> bool:
        """Say whether the mutant was killed, or met everything there is."""
        return bool(self.killer) or self.tests is not None


def read() -> dict[str, Result]:
    """Read what is known, by label."""
    if not KEPT.exists():
        return {}
    return {label: Result(**kept) for label, kept in json.loads(KEPT.read_text()).items()}


def write(results: Mapping[str, Result]) -> None:
    """Keep what is known of the mutants on the list, in the list's order."""
    labels = [one.label for one in mutants() if one.label in results]
    kept = {label: asdict(results[label]) for label in labels}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
