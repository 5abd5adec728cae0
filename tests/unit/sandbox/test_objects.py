from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.world.objects import copy_of, merge_metadata, previous_attributes

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
TREES = st.dictionaries(
    st.text(max_size=3), LEAVES | st.dictionaries(st.text(max_size=3), LEAVES), max_size=6
)


@pytest.mark.parametrize(
    ("before", "after", "previous"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 2}),
        ({"m": {}}, {"m": {"k": "v"}}, {"m": {"k": None}}),
        ({"m": {"k": "v", "l": "w"}}, {"m": {"k": "x", "l": "w"}}, {"m": {"k": "v"}}),
        ({}, {"failure_reason": "unknown"}, {"failure_reason": None}),
        ({"n": None}, {"n": {"k": 1}}, {"n": None}),
    ],
)
def test_previous_attributes_hold_the_changed_leaves(
    before: Any, after: Any, previous: Any
) -> None:
    assert previous_attributes(before, after) == previous


@given(TREES)
def test_nothing_changed_leaves_no_previous_attributes(tree: dict[str, Any]) -> None:
    assert previous_attributes(copy_of(tree), tree) == {}


@given(TREES, TREES)
def test_every_changed_key_has_its_previous_value(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    previous = previous_attributes(before, after)
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert set(previous) == changed


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"b": "2"}, {"a": "1", "b": "2"}),
        ({"a": ""}, {}),
        ({"a": "9"}, {"a": "9"}),
        ({}, {"a": "1"}),
        (None, {}),
    ],
)
def test_metadata_is_merged_key_by_key(change: Any, left: Any) -> None:
    target = {"metadata": {"a": "1"}}
    merge_metadata(target, change)
    assert target["metadata"] == left
