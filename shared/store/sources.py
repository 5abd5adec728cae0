"""The texts of the scripts: their names, their keys by name, their hashes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from shared.errors import Inconsistent
from shared.keys import SCHEMA, entry_of

LUA = Path(__file__).parent / "lua"
PRELUDE = "prelude"
# What Redis calls the types of the schema.
TYPES = {"hash": "hash", "list": "list", "set": "set", "sorted set": "zset", "string": "string"}
# Runs `once` for each part of KEYS and ARGV. An error is the result of its own part alone.
TOGETHER = """
local results, argument = {}, 1
for key = 1, #KEYS, keys_each do
  local last = argument + ARGV[argument]
  local own = { unpack(ARGV, argument + 1, last) }
  local done, result = pcall(once, { unpack(KEYS, key, key + keys_each - 1) }, own)
  if not done and type(result) ~= 'table' then result = { err = result } end
  results[#results + 1] = result or false
  argument = last + 1
end
return results
"""


def script_names() -> list[str]:
    """List the scripts."""
    return sorted(path.stem for path in LUA.glob("*.lua") if path.stem != PRELUDE)


@cache
def key_names(name: str) -> tuple[str, ...]:
    """Read the names of a script's keys from its second line; a last one with `*` takes the rest.

    Raises `Inconsistent` for a name that is no entry of the schema (`shared/keys.py`).
    """
    second = (LUA / f"{name}.lua").read_text("utf-8").splitlines()[1]
    names = tuple(second.removeprefix("-- KEYS").split())
    unknown = [n for n in names if entry_of(n.removesuffix("*")) is None]
    if unknown or any(n.endswith("*") for n in names[:-1]) or not second.startswith("-- KEYS "):
        raise Inconsistent(f"{name}.lua does not declare its keys: {second}")
    return names


@cache
def plain_names(name: str) -> tuple[str, ...]:
    """Return the names of a script's keys, a last one without its `*`."""
    return tuple(key.removesuffix("*") for key in key_names(name))


@cache
def script_source(name: str) -> str:
    """Assemble a script: its flags line, its keys by name, the shared prelude, its body."""
    flags, _, body = (LUA / f"{name}.lua").read_text("utf-8").partition("\n")
    return "\n".join((flags, (LUA / f"{PRELUDE}.lua").read_text("utf-8"), _named_keys(name), body))


@cache
def script_hash(name: str) -> str:
    """Return the hash under which Redis knows a script."""
    return hashlib.sha1(script_source(name).encode(), usedforsecurity=False).hexdigest()


@cache
def together_source(name: str) -> str:
    """Assemble a script that runs another several times, each run on its own.

    KEYS are those of one time after those of another; ARGV has before each time's arguments their
    number. Returns a result for each: a run that fails does not affect the next.
    """
    flags, _, body = (LUA / f"{name}.lua").read_text("utf-8").partition("\n")
    keys = len(key_names(name))
    prelude = (LUA / f"{PRELUDE}.lua").read_text("utf-8")
    once = f"local function once(KEYS, ARGV)\n{_named_keys(name)}\n{body}\nend"
    return "\n".join((flags, prelude, once, f"local keys_each = {keys}", TOGETHER))


def _named_keys(name: str) -> str:
    """Name a script's keys, after a check that none has another type than its own."""
    names = key_names(name)
    single = [n for n in names if not n.endswith("*")]
    members = [f"{n} = KEYS[{number}]" for number, n in enumerate(single, start=1)]
    if len(single) < len(names):
        members.append(f"{names[-1].removesuffix('*')} = {{ unpack(KEYS, {len(names)}) }}")
    return f"{_checks(name)}\nlocal key = {{ {', '.join(members)} }}"


def _checks(name: str) -> str:
    names = key_names(name)
    if len(names) == 1 and not names[0].endswith("*"):
        return ""  # its first command fails by itself, before anything is written
    checks = []
    for number, key in enumerate(names, start=1):
        single = f"of_type(KEYS[{number}], '{_type_of(key.removesuffix('*'))}')"
        rest = single.replace(f"KEYS[{number}]", "KEYS[n]")
        checks.append(f"for n = {number}, #KEYS do {rest} end" if key.endswith("*") else single)
    return " ".join(checks)


def _type_of(key: str) -> str:
    entry = entry_of(key)
    if entry is None:
        raise Inconsistent(f"{key} is no entry of the schema.")
    return TYPES[SCHEMA[entry].type]


@cache
def together_hash(name: str) -> str:
    """Return the hash of a script that runs another several times."""
    return hashlib.sha1(together_source(name).encode(), usedforsecurity=False).hexdigest()
