"""The rule of docs/receiver.md is that of the example receivers, and covers every type."""

from __future__ import annotations

import re

from examples.receivers.receiver import COURSE, ENDS, OBJECTS
from shared.notification import TYPES
from tests.conventions.tracked import ROOT

PAGE = (ROOT / "docs/receiver.md").read_text()
ORDER = PAGE.split("## Order")[1]


def types_in(text: str) -> list[str]:
    """List the types that a text names; `.failed` continues the family before it."""
    types, family = [], ""
    for name in re.findall(r"`([a-z_]*\.[a-z_…]+)`", text):
        family = name.split(".")[0] or family
        types.append(name if name.split(".")[0] else family + name)
    return types


def after(words: str, end: str) -> str:
    """Return the text between two words of the page."""
    return ORDER.split(words, 1)[1].split(end, 1)[0]


def test_the_finality_of_each_type_is_that_of_the_example() -> None:
    highest, rest = after("**finality**: 2 for", "0 for all").split("1 for")
    written = dict.fromkeys(types_in(highest), 2) | dict.fromkeys(types_in(rest), 1)
    assert written == ENDS


def test_the_usual_order_is_that_of_the_example() -> None:
    assert types_in(after("**the usual order**", "4. **")) == list(COURSE)


def test_the_table_names_the_object_of_every_type() -> None:
    rows = re.findall(r"^\| ([a-z ,]+) \| (`.*`.*) \| (`.*) \|$", ORDER, re.MULTILINE)
    fields: dict[str, tuple[str, ...]] = {}
    for _, types, known_by in rows:
        ids = tuple(re.findall(r"`([a-z_]+_id)`", known_by))
        for name in types_in(types):
            same = [one for one in TYPES if one.startswith(name.rstrip("…"))]
            assert same, name
            # Of the reviews' row each kind has an id of its own.
            own = tuple(one for one in ids if one.split("_")[0] in name) or ids
            fields |= dict.fromkeys(same, own if "review" in types else ids)
    expected = {one: OBJECTS.get(one) or OBJECTS.get(one.split(".")[0], ()) for one in TYPES}
    assert fields == {one: ids for one, ids in expected.items() if one != "test.notification"}
