"""The invariants: numbered without gaps, and each names existing scripts, code and tests."""

from __future__ import annotations

import ast
import importlib
import re

import pytest

from shared.store.sources import LUA
from tests.conventions.tracked import ROOT, python_files, text_of

DOCUMENT = ROOT / "docs" / "invariants.md"
HEADING = re.compile(r"^## (\d+)\. .+$", re.MULTILINE)
PARTS = ("- **Kept by** ", "- **Without it** ", "- **Held by** ")
NAME = re.compile(r"`([^`\s]+)`")


def sections() -> dict[int, str]:
    text = DOCUMENT.read_text().partition("\n# The explorer")[0]
    pieces = HEADING.split(text)[1:]
    return dict(zip(map(int, pieces[::2]), pieces[1::2], strict=True))


def lines(part: str) -> list[tuple[int, str]]:
    """Return the line of a part from every section."""
    exists = []
    for number, text in sections().items():
        [line] = [line for line in text.splitlines() if line.startswith(part)]
        exists.append((number, line))
    return exists


def checked_numbers() -> set[int]:
    """Return the numbers of the invariants that the explorer checks."""
    texts = [text_of(name) for name in python_files("tests") if name.parts[1] == "explore"]
    numbers = {int(n) for text in texts for n in re.findall(r"invariant (\d+):", text)}
    for call in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("demand"):
            numbers |= {a.value for a in call.args[1:2] if isinstance(a, ast.Constant)}
    return numbers


def test_they_are_numbered_without_gaps_and_each_has_its_parts():
    assert [*sections()] == [*range(1, len(sections()) + 1)]
    assert all(len(lines(part)) == len(sections()) for part in PARTS)


def test_each_script_and_each_function_that_keeps_one_exists():
    for number, line in lines(PARTS[0]):
        names = [name for name in NAME.findall(line) if "." in name]
        assert names, number
        for name in names:
            assert (LUA / name).exists() if name.endswith(".lua") else exists(name), (number, name)


def exists(name: str) -> bool:
    """Say whether a dotted name exists."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            owner = getattr(owner, part, None)
        return owner is not None
    return False


def test_each_test_that_holds_one_exists():
    for number, line in lines(PARTS[2]):
        for name in NAME.findall(line):
            path, _, test = name.partition("::")
            assert f"def {test}(" in (ROOT / path).read_text(), (number, name)


def test_those_that_the_explorer_checks_are_those_that_say_so():
    explored = {number for number, line in lines(PARTS[2]) if "the explorer" in line}
    assert explored == checked_numbers()


@pytest.mark.parametrize("name", ["shared.facts.nothing", "shared.nowhere.at_all", "nowhere"])
def test_what_does_not_exist_is_not_found(name):
    assert not exists(name)
