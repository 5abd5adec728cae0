"""`python -m shared.store.document`: write `docs/store.md` from the schema and the scripts."""

from __future__ import annotations

import inspect
import sys

from shared.keys import MEANING, SCHEMA, Keys, entry_of
from shared.store.sources import key_names, script_names

_INTRODUCTION = """# What is in Redis

Generated from `shared/keys.py` by `bin/store-docs`. Times are Redis's own, in milliseconds.
`{billing}` is the installation (`INSTALLATION`), a hash tag. Every change of state is one script of
`shared/store/lua/`. With `valkey-cli`:

    ZRANGE {billing}:due:events 0 9 WITHSCORES       the open events that are due first
    HGETALL {billing}:event:evt_…                    an event
    LRANGE {billing}:payment:pi_…:timeline 0 -1      the timeline of a payment
    LLEN {billing}:notifications                     doorbells in a queue
"""


def markdown() -> str:
    """Render the page: every key, with the scripts that touch it, every state, every field."""
    lines = [
        _INTRODUCTION,
        "| Key | Type | Holds | Lives | Scripts |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, described in SCHEMA.items():
        users = [*_scripts_of(name), *described.also_written_by]
        row = (f"`{pattern(name)}`", described.type, described.holds, described.lives)
        lines.append("| " + " | ".join((*row, ", ".join(users) or "–")) + " |")
    lines += ["", "## States", "", "| State | Means |", "| --- | --- |"]
    lines += [f"| `{state}` | {text} |" for state, text in MEANING.items()]
    for name, described in SCHEMA.items():
        if described.fields:
            lines += ["", f"## `{pattern(name)}`", "", "| Field | Holds |", "| --- | --- |"]
            lines += [f"| `{one}` | {text} |" for one, text in described.fields.items()]
    return "\n".join(lines) + "\n"


def _scripts_of(name: str) -> list[str]:
    """List the scripts that touch a key."""
    scripts = []
    for script in script_names():
        entries = {entry_of(key.removesuffix("*")) for key in key_names(script)}
        scripts += [f"`{script}`"] if name in entries else []
    return scripts


def pattern(name: str) -> str:
    """Return a key's name with its parts in angle brackets."""
    method = getattr(Keys("installation"), name)
    parts = inspect.signature(method).parameters
    arguments = [_Example if part == "kind" else f"<{part}>" for part in parts]
    return str(method(*arguments)).replace("{installation}", "{billing}")


class _Example:
    name = "<kind>s"
    item = "<kind>"


if __name__ == "__main__":
    sys.stdout.write(markdown())
