"""Each benchmark of `bin/bench` runs to its end in its short form, and prints figures."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.servers import ROOT

# The others need half a minute and more each.
LONG = ("callers", "memory", "payments", "sandbox", "webhook")
BENCHES = sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py"))
# Seconds on a busy machine; a quiet one needs 5 to 60.
LIMIT_SECONDS = 500
FIGURES = re.compile(r"^\| .*\d.* \|$", re.MULTILINE)


def _marked(name: str) -> object:
    tier = pytest.mark.long if name in LONG else pytest.mark.nightly
    return pytest.param(name, marks=[tier, pytest.mark.slow])


@pytest.mark.parametrize("name", [_marked(name) for name in BENCHES])
def test_a_benchmark_runs_and_prints_figures(name: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", f"bench.{name}"],
        cwd=ROOT,
        env=os.environ | {"BENCH_SHORT": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert FIGURES.search(process.stdout), process.stdout
