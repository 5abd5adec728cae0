"""Run axe-core, the accessibility checker, in a page."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.servers import ROOT

AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
NO_NODE = 3  # the exit status of bin/console-tools without Node


@cache
def source() -> str:
    """Return the source of the checker, installed by npm. Skips the test without Node."""
    process = subprocess.run(
        [ROOT / "bin" / "console-tools"], text=True, capture_output=True, check=False
    )
    if process.returncode == NO_NODE:
        pytest.skip(process.stderr.strip())
    assert process.returncode == 0, process.stderr
    return Path(AXE).read_text()


def violations(page: Page) -> list[Any]:
    """List the violations of the page in its current state: rule, elements."""
    if page.evaluate("typeof axe") == "undefined":  # a page keeps it until it is loaded again
        page.evaluate(source())
    # Only these leave the page: the whole report has every element that was looked at.
    problems = page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)"
    )
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in problems]
