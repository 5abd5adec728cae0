"""`./billing reconcile --wait` ends with the comparison that was asked for, not with one before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import commands

Json = dict[str, Any]
BEFORE, FIRST, SECOND = 1000, 2000, 3000


def report(completed_at_ms: int, *, running: bool) -> Json:
    return {"completed_at_ms": completed_at_ms, "running": running}


@pytest.mark.parametrize(
    ("outcome", "reports", "end"),
    [
        ("due", [report(BEFORE, running=True), report(FIRST, running=False)], FIRST),
        ("due", [report(FIRST, running=True), report(SECOND, running=False)], SECOND),
        (
            "running",
            [report(FIRST, running=False), *[report(FIRST, running=True)] * 4]
            + [report(SECOND, running=False)] * 3,
            SECOND,
        ),
    ],
    ids=["the next one", "one that began meanwhile", "one that was running, then the next"],
)
def test_it_waits_for_the_comparison_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, outcome: str, reports: list[Json], end: int
) -> None:
    answers = iter([report(BEFORE, running=outcome == "running"), *reports])

    class Service:
        def __init__(self, *_: object) -> None:
            """Take the address and the key of the real client."""

        def get(self, _: str) -> Json:
            return next(answers)

        def post(self, *_: str) -> Json:
            return {"outcome": outcome}

    monkeypatch.setattr(commands, "Client", Service)
    monkeypatch.setattr(commands, "LOOK_SECONDS", 0)
    result = CliRunner().invoke(commands.app, ["reconcile", "--wait", "--json"])
    assert json.loads(result.stdout)["completed_at_ms"] == end
    assert next(answers, None) is None
