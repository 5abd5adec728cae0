"""Search settings, and report the results."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog

from tests.explore.actors import still
from tests.explore.search import Report, Search
from tests.explore.service import Service

DICE = ("worker.delivery._dice", "worker.policy._dice")
HEAD = ("configuration", "states", "transitions", "depth", "searched", "violations", "CPU s")


def explore(kind: type[Service], cpu_seconds: float, *, wide: bool = False) -> Report:
    """Search one setting for at most this many CPU seconds; `wide` allows more failures."""
    setting = kind()
    if wide:
        setting.budget = setting.wide
    with _quiet(), still(setting.stage, DICE), setting.snapshots.clock(), setting.patched():
        return Search(setting).run(cpu_seconds)


@contextmanager
def _quiet() -> Iterator[None]:
    """Write no log line for each attempt in each order."""
    before = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


def table(reports: Iterable[Report]) -> str:
    """Render the results as a table in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "| --- " * len(HEAD) + "|"]
    for one in reports:
        searched = "exhausted" if one.exhausted else "bounded"
        figures = (f"{one.states:,}", f"{one.transitions:,}", str(one.depth), searched)
        row = (one.name, *figures, str(int(bool(one.violation))), f"{one.seconds:.1f}")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def story(report: Report) -> str:
    """Describe the shortest path to a violation, one step per line."""
    steps = [f"{number:4}. {label}" for number, label in enumerate(report.path)]
    return "\n".join((f"{report.name}: {report.violation}", *steps))
