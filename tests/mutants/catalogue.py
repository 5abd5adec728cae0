"""The list of mutants: single changes to the scripts and to the policy, each with a name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True)
class Mutant:
    """One change of one file, the tests that are asked first, and why it may survive."""

    name: str
    file: str
    was: str
    becomes: str
    tests: tuple[str, ...]
    survives: str = ""

    @property
    def label(self) -> str:
        """Name it among all others: the file's name and its own."""
        return f"{Path(self.file).name}: {self.name}"

    def applied_to(self, text: str) -> str:
        """Give the file's text with the change; raises `ValueError` unless it fits just once."""
        if text.count(self.was) != 1:
            raise ValueError(f"{self.label}: {text.count(self.was)} places in {self.file}, not one")
        return text.replace(self.was, self.becomes)


def mutants() -> list[Mutant]:
    """Read the list."""
    return [
        Mutant(file=place["file"], tests=tuple(place["tests"]), **mutant)
        for place in tomllib.loads(LIST.read_text())["place"]
        for mutant in place["mutant"]
    ]
