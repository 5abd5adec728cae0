"""The list of mutants: single changes to the scripts and to the policy, each with a name."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True)
class Mutant:
    """One change of one file, what is asked first, and why it may survive."""

    name: str
    file: str
    was: str
    becomes: str
    tests: tuple[str, ...]
    explorer: tuple[str, ...] = ()
    survives: str = ""

    @property
    def label(self) -> str:
        """Name it among all others: the file's name and its own."""
        return f"{Path(self.file).name}: {self.name}"

    @property
    def digest(self) -> str:
        """Tell this change from an earlier one of the same name."""
        text = f"{self.file}\0{self.was}\0{self.becomes}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def applied_to(self, text: str) -> str:
        """Give the file's text with the change; raises `ValueError` unless it fits just once."""
        if text.count(self.was) != 1:
            raise ValueError(f"{self.label}: {text.count(self.was)} places in {self.file}, not one")
        return text.replace(self.was, self.becomes)


def mutants() -> list[Mutant]:
    """Read the list; a mutant's own tests are asked before those of its file."""
    return [
        Mutant(
            file=place["file"],
            explorer=tuple(place.get("explorer", ())),
            **mutant | {"tests": (*mutant.get("tests", ()), *place["tests"])},
        )
        for place in tomllib.loads(LIST.read_text())["place"]
        for mutant in place["mutant"]
    ]
