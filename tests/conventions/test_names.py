"""Names are nouns that say what a thing is; none is a participle such as `found` or `kept`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("api", "bench", "chaos", "cli", "doctor", "local", "sandbox", "shared", "slow", "tests"),
    *("examples", "worker"),
)
LUA_NAME = re.compile(r"\b(?:local|function)\s+(?:function\s+)?([\w, ]+)|\bfor\s+([\w, ]+?)\s+in\b")
PARTICIPLES = set(
    "asked begun chosen done found given gone heard kept known listed made named said seen sent "
    "shown spoken taken told wanted".split()
)
# In tests these say as little: `paid` is a payment here, a list of ids there.
OF_TESTS = set("answered caught completed counted held paid refused rung".split())
# Names that others read: fields of answers, of Redis and of counts, states, an outcome of work.
CONTRACTS = {
    "api/batch_models.py": {"done"},
    "api/ops_models.py": {"known"},
    "api/refund_batches.py": {"listed"},
    "shared/facts.py": {"known"},
    "shared/keys.py": {"made"},
    "shared/known_refunds.py": {"known"},
    "shared/payment_summary.py": {"known"},
    "shared/stripe/event.py": {"known"},
    "shared/work/batch.py": {"BEGUN", "done"},
    "shared/work/batch_turns.py": {"begun"},
    "shared/work/payment_index.py": {"known"},
    "shared/work/payments.py": {"known"},
    "shared/work/results.py": {"Done"},
    "shared/work/settlement.py": {"done", "known"},
    "tests/contract/parameters.py": {"REFUSED"},
    "worker/events.py": {"known"},
    "worker/reconcile.py": {"seen"},
}
# The recorded results of their mutants hold these lines.
LUA_EXCEPTIONS = {"batch_end.lua": {"taken"}, "sign.lua": {"gone"}}


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """List the names that a module defines, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def participles(source: str, room: str) -> list[tuple[int, str]]:
    words = PARTICIPLES | OF_TESTS if room == "tests" else PARTICIPLES
    # To look at every name takes a hundred times as long as to search the text for one of these.
    if not re.search(rf"\b_*(?:{'|'.join(words)})_*\b", source, re.IGNORECASE):
        return []
    return [one for one in names(ast.parse(source)) if one[1].strip("_").lower() in words]


@cache
def participles_in(room: str) -> tuple[tuple[str, int, str], ...]:
    return tuple(
        (str(path.relative_to(ROOT)), line, name)
        for path in (ROOT / room).rglob("*.py")
        for line, name in participles(path.read_text(), room)
    )


def test_no_name_is_a_participle() -> None:
    bad = [
        f"{path}:{line} {name}"
        for room in ROOMS
        for path, line, name in participles_in(room)
        if name not in CONTRACTS.get(path, ())
    ]
    assert not bad


def test_each_exception_is_one() -> None:
    uses = {(path, name) for room in ROOMS for path, _, name in participles_in(room)}
    assert not {(path, name) for path, of in CONTRACTS.items() for name in of} - uses


def participles_of_lua(script: str) -> list[str]:
    code = re.sub(r"--.*", "", script)
    listing = ",".join(part for pair in LUA_NAME.findall(code) for part in pair)
    return [name for name in map(str.strip, listing.split(",")) if name in PARTICIPLES]


def test_no_name_in_a_script_is_a_participle() -> None:
    scripts = list((ROOT / "shared").rglob("*.lua"))
    assert scripts
    bad = {path.name: set(participles_of_lua(path.read_text())) for path in scripts}
    assert {name: words for name, words in bad.items() if words} == LUA_EXCEPTIONS


def test_a_participle_is_seen_in_lua() -> None:
    script = (
        "-- local said\nlocal found, x = f()\nfor told in g() do end\nlocal function asked() end"
    )
    assert participles_of_lua(script) == ["found", "told", "asked"]


def test_a_participle_is_seen_wherever_it_is_named() -> None:
    source = """
found = 1
def _told(asked): ...
class _Said: ...
self.taken = (founder := 2)
for made, one in pairs: ...
KNOWN = kept_fee = Kept()
import rates as shown
"""
    assert {name for _, name in participles(source, "api")} == set(
        "found _told asked _Said taken made KNOWN shown".split()
    )


def test_tests_are_held_to_more_words_than_the_product() -> None:
    source = "def _paid(held_): ...\nfor refused, one in pairs: ...\npaid_at = COMPLETED = None\n"
    assert {name for _, name in participles(source, "tests")} == {
        *("_paid", "held_", "refused", "COMPLETED")
    }
    assert participles(source, "worker") == []
