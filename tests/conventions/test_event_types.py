"""A new event type is one function, one fixture, one test: each type has all three."""

import importlib
import json
from functools import cache
from pathlib import Path

import pytest

from tests.conventions.tracked import ROOT, python_files, text_of
from worker.registry import handled_types, handler_of

importlib.import_module("worker.handlers")  # fills the registry
FIXTURES = ROOT / "tests/fixtures/stripe"


@cache
def words_of_the_tests() -> str:
    return "\n".join(
        text_of(name) for name in python_files("tests") if name.parts[1] != "conventions"
    )


@pytest.mark.skipif(not any(FIXTURES.glob("*.json")), reason="no fixtures recorded yet")
@pytest.mark.parametrize("event_type", handled_types())
def test_each_handled_type_has_a_fixture_that_is_such_an_event(event_type):
    event = json.loads((FIXTURES / f"{event_type}.json").read_text())
    assert event["object"] == "event"
    assert event["type"] == event_type


@pytest.mark.parametrize("event_type", handled_types())
def test_each_handled_type_is_named_in_a_test(event_type):
    assert f'"{event_type}"' in words_of_the_tests()


@pytest.mark.parametrize("event_type", handled_types())
def test_each_handler_is_said_to_exist_for_a_reason(event_type):
    handler = handler_of(event_type)
    assert handler
    source = (ROOT / Path(*handler.__module__.split("."))).with_suffix(".py").read_text()
    line = next(row for row in source.splitlines() if f'"{event_type}"' in row)
    assert "# why:" in line or handler.__doc__, f"say why {event_type} matters"
