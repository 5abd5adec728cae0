"""A new event type is one function, one fixture, one test: each type has all three."""

import importlib
import inspect
import json
import re
from functools import cache

import pytest

from tests.conventions.tracked import ROOT, python_files, text_of
from worker.registry import HANDLERS, handled_types

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
    handler = HANDLERS.get(event_type)
    assert handler
    decorators = inspect.getsource(handler).partition("\ndef ")[0]
    beside = "\n".join((inspect.getcomments(handler) or "", decorators))
    assert has_reason(beside), f"say why {event_type} matters: # why: …"


def has_reason(registration: str) -> bool:
    return bool(re.search(r"# why: \w+(\W+\w+){2,}", registration))


def test_a_handler_without_its_reason_is_found():
    registered = '@handles("charge.updated")'
    assert has_reason(f"{registered}  # why: tells the fees")
    assert has_reason(f"# why: tells the fees\n{registered}")
    for without in (registered, f"{registered}  # why:", f"# tells the fees\n{registered}"):
        assert not has_reason(without)
