"""Docstrings say what a function returns, and what it raises if it needs Redis or Stripe."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.conventions.tracked import ROOT, python_files, text_of

ROOMS = ("shared/work", "shared/store", "shared/stripe")
# Names through which these modules reach Redis and Stripe.
DOORS = {"_store", "store", "_redis", "redis", "_gateway", "gateway", "_client"}
# Attributes of a store that need no Redis: its names of keys and this process's counts.
HARMLESS = {"keys", "tally"}
# Functions that need not say it, each with its reason.
EXCEPTIONS = {
    "shared/store/figures.py:flush": "keeps the counts for the next time when Redis is unavailable",
    "shared/store/identity.py:watch": "an unavailable Redis is compared again the next time",
    "shared/store/pipe.py:Pipe.close": "gives up the connection, whatever its state",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def chain(node: ast.expr) -> list[str]:
    """Split `self._store.redis.get` into its names; leave out calls in the middle."""
    if isinstance(node, ast.Attribute):
        return [*chain(node.value), node.attr]
    if isinstance(node, ast.Call):
        return chain(node.func)
    return [node.id] if isinstance(node, ast.Name) else []


def uses(function: Function, owner: str, reached: set[str]) -> bool:
    """Say whether a function uses one of these names, or calls one of its module that does."""
    for node in ast.walk(function):
        parts = chain(node) if isinstance(node, ast.Attribute | ast.Name) else []
        through_door = DOORS.intersection(parts[:-1]) and not HARMLESS.intersection(parts)
        name = ".".join([owner, *parts[1:]] if parts[:1] == ["self"] and owner else parts)
        if through_door or name in reached:
            return True
    return False


def functions(tree: ast.Module) -> dict[str, Function]:
    """List a module's functions and methods by their qualified names."""
    names = {node.name: node for node in tree.body if isinstance(node, Function)}
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        methods = (node for node in owner.body if isinstance(node, Function))
        names |= {f"{owner.name}.{method.name}": method for method in methods}
    return names


def reaching(module: dict[str, Function]) -> set[str]:
    """List the functions of a module that reach Redis or Stripe, directly or indirectly."""
    reached: set[str] = set()
    while more := {
        name
        for name, function in module.items()
        if name not in reached and uses(function, name.rpartition(".")[0], reached)
    }:
        reached |= more
    return reached


def unmentioned(source: str) -> Iterator[str]:
    """List the public functions of a module that reach them and do not say what they raise."""
    module = functions(ast.parse(source))
    for name in sorted(reaching(module)):
        public = not any(part.startswith("_") for part in name.split("."))
        if public and "Raises" not in (ast.get_docstring(module[name]) or ""):
            yield name


def test_who_needs_redis_or_stripe_says_what_it_raises() -> None:
    """It also finds an exception that is no longer needed, because both lists must be equal."""
    silent = {
        f"{path.relative_to(ROOT)}:{name}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in unmentioned(path.read_text())
    }
    assert silent == set(EXCEPTIONS)


def test_a_function_that_reaches_redis_by_another_is_seen() -> None:
    source = '''
class Letters:
    def count(self):
        """Count them."""
        return self._read()

    def name(self):
        """Name the key."""
        return self._store.keys.dead()

    def walk(self):
        """Walk them. Raises `Unavailable`."""
        return self._read()

    def _read(self):
        return self._store.redis.get("a")
'''
    assert list(unmentioned(source)) == ["Letters.count"]


def vague(source: str) -> list[str]:
    """List the docstrings that begin with "Give" and do not speak of giving something up."""
    # To look at every node takes a hundred times as long as to search for a string with that word.
    if not re.search(r"""["'](?:\s|\\\n)*Gives?\b""", source):
        return []
    texts = (
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, Function | ast.ClassDef)
    )
    first_lines = (text.partition("\n")[0] for text in texts)
    return [line for line in first_lines if re.match(r"Gives?\b(?!.*\bup\b)", line)]


def test_a_docstring_says_return_or_create_and_not_give() -> None:
    assert not {path: lines for path in python_files() if (lines := vague(text_of(path)))}


def test_a_vague_docstring_is_seen() -> None:
    source = '''
def ours(): """Give the account."""
class Hand: """Gives each its part."""
def bury(): """Give a notification up, with its evidence."""
def given(): """Return what was given."""
'''
    assert vague(source) == ["Give the account.", "Gives each its part."]
