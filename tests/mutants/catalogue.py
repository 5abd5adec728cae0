"""The list of mutants: single changes to scripts and Python code, each with a name."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True)
class Mutant:
    """One change of one file, the tests that are tried first, and why it may survive."""

    name: str
    file: str
    was: str
    becomes: str
    tests: tuple[str, ...]
    explorer: tuple[str, ...] = ()
    survives: str = ""

    @property
    def label(self) -> str:
        """Return its name among all mutants: the name of the file and its own."""
        return f"{Path(self.file).name}: {self.name}"

    @property
    def digest(self) -> str:
        """Return a digest that differs from that of an earlier change with the same name."""
        text = f"{self.file}\0{self.was}\0{self.becomes}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def applied_to(self, text: str) -> str:
        """Return the text with the change. Raises `ValueError` unless it fits exactly once."""
        if text.count(self.was) != 1:
            raise ValueError(f"{self.label}: {text.count(self.was)} places in {self.file}, not one")
        return text.replace(self.was, self.becomes)


def mutants() -> list[Mutant]:
    """Read the list; a mutant's own tests come before those of its file."""
    return [
        Mutant(
            file=place["file"],
            explorer=tuple(place.get("explorer", ())),
            **mutant | {"tests": (*mutant.get("tests", ()), *place["tests"])},
        )
        for place in tomllib.loads(LIST.read_text())["place"]
        for mutant in place["mutant"]
    ]
