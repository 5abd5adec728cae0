"""A short run of `bin/chaos`: processes die under traffic, and every promise is kept.

`docs/benchmarks.md` has the results of long runs, and of runs without one protection.
"""

from __future__ import annotations

import pytest

from chaos.run import Plan, run
from chaos.unprotected import PROTECTIONS

# The patience allows for a busy machine.
SHORT = Plan(
    seed=7,
    events=120,
    kills=3,
    restarts=3,
    freezes=1,
    disturbances=6,
    customers=6,
    patience_seconds=300,
)


@pytest.mark.long
@pytest.mark.slow
def test_every_promise_is_kept_while_processes_die() -> None:
    output: list[str] = []
    result = run(SHORT, output.append)
    assert result.findings.clean, result.findings.violations
    assert result.seconds_to_quiet is not None, output
    assert sum(result.kills.values()) == SHORT.kills
    assert sum(result.restarts.values()) == SHORT.restarts
    assert result.findings.counts["events"] >= SHORT.events


def test_the_protections_that_can_be_taken_away_are_those_the_documents_tell_of() -> None:
    assert {"relay", "lease", "dedupe"} <= set(PROTECTIONS)
