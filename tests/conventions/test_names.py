"""Names are nouns that say what a thing is; none is a participle such as `found` or `kept`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("api", "bench", "chaos", "cli", "doctor", "local", "sandbox", "shared", "slow", "tests"),
    "worker",
)
LUA_NAME = re.compile(r"\b(?:local|function)\s+(?:function\s+)?([\w, ]+)|\bfor\s+([\w, ]+?)\s+in\b")
PARTICIPLES = {"asked", "found", "heard", "said", "sent", "told"}
# In tests the others say as little: `kept` is a notification here, a line there.
OF_TESTS = PARTICIPLES | {"done", "given", "kept", "known", "made", "seen", "taken"}


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """List the names that a module defines, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def participles(source: str, among: set[str]) -> list[tuple[int, str]]:
    return [one for one in names(ast.parse(source)) if one[1].strip("_").lower() in among]


def words_of(room: str) -> set[str]:
    return OF_TESTS if room == "tests" else PARTICIPLES


def test_no_name_is_a_participle() -> None:
    bad = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for line, name in participles(path.read_text(), words_of(room))
    }
    assert not bad


def participles_of_lua(script: str) -> list[str]:
    code = re.sub(r"--.*", "", script)
    listed = ",".join(part for pair in LUA_NAME.findall(code) for part in pair)
    return [name for name in map(str.strip, listed.split(",")) if name in PARTICIPLES]


def test_no_name_in_a_script_is_a_participle() -> None:
    scripts = list((ROOT / "shared").rglob("*.lua"))
    assert scripts
    assert not {path.name: bad for path in scripts if (bad := participles_of_lua(path.read_text()))}


def test_a_participle_is_seen_in_lua() -> None:
    script = (
        "-- local said\nlocal found, x = f()\nfor told in g() do end\nlocal function asked() end"
    )
    assert participles_of_lua(script) == ["found", "told", "asked"]


def test_a_participle_is_seen_wherever_it_is_named() -> None:
    source = "found = 1\ndef _told(asked): ...\nclass _Said: ...\nself.told = (founder := 2)\n"
    assert {name for _, name in participles(source, words_of("api"))} == {
        "found",
        "_told",
        "_Said",
        "asked",
        "told",
    }


def test_tests_are_held_to_more_words_than_the_product() -> None:
    source = "def _kept(given_): ...\nfor made, one in seen: ...\nKNOWN = kept_fee = Done()\n"
    names_in = {room: {name for _, name in participles(source, words_of(room))} for room in ROOMS}
    assert names_in["tests"] == {"_kept", "given_", "made", "KNOWN"}
    assert names_in["worker"] == set()
