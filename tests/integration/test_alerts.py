"""Alert rules and dashboard: every metric they use exists, and every alert has a chapter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from api.metrics import families
from shared.store.scripts import Store
from tests.servers import ROOT

RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy/grafana/billing.json").read_text())
QUESTIONS = [
    (panel["title"], target["expr"].replace("$__rate_interval", "5m"))
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
] + [(rule["alert"], rule["expr"]) for rule in ALERTS]
# Metrics of Prometheus itself, and the labels that it adds.
FOREIGN = {"up": {"job"}}
PARTS = {"counter": {"_total": set()}, "gauge": {"": set()}}
HISTOGRAM = {"_bucket": {"le"}, "_count": set(), "_sum": set()}


def labels_of_metrics(store: Store) -> dict[str, set[str]]:
    """Return the labels of every sample that a scrape may contain."""
    labels_of = dict(FOREIGN)
    for family in families(store):
        parts = PARTS.get(family.type, HISTOGRAM)
        labels = set(family._labelnames)
        labels_of |= {family.name + suffix: labels | more for suffix, more in parts.items()}
    return labels_of


def selectors(node: Any) -> Iterator[Any]:
    """Walk an expression to each series that it selects."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "args", "vector_selector"):
        inner = getattr(node, name, None)
        for child in inner if isinstance(inner, list) else [inner]:
            if child is not None:
                yield from selectors(child)


@pytest.mark.parametrize(("title", "question"), QUESTIONS)
def test_every_question_asks_for_what_there_is(
    real_store: Store, title: str, question: str
) -> None:
    have = labels_of_metrics(real_store)
    series = list(selectors(promql_parser.parse(question)))
    assert series, title
    for selector in series:
        assert selector.name in have
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= have[selector.name]


FIRST_TIMES = [rule for rule in ALERTS if "increase(" in rule["expr"]]


@pytest.mark.parametrize("rule", FIRST_TIMES, ids=[rule["alert"] for rule in FIRST_TIMES])
def test_an_alert_on_an_increase_notices_the_first_time(
    real_store: Store, rule: dict[str, Any]
) -> None:
    """Each series that it counts is shown from 0 on: a series that begins at 1 did not increase."""
    samples = [sample for family in families(real_store) for sample in family.samples]
    for selector in selectors(promql_parser.parse(rule["expr"])):
        labels = {(matcher.name, matcher.value) for matcher in selector.matchers.matchers}
        zeros = [s for s in samples if s.name == selector.name and labels <= set(s.labels.items())]
        assert zeros, selector.name
        assert {sample.value for sample in zeros} == {0.0}


def test_every_metric_is_on_the_dashboard(real_store: Store) -> None:
    """An alert says what is wrong now, and its panel since when."""
    questions = " ".join(question for _, question in QUESTIONS[: -len(ALERTS)])
    names = {family.name for family in families(real_store)}
    assert {name for name in names if name not in questions} == set()


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_every_alert_says_who_acts_and_has_its_chapter(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    place = "{{ $externalLabels.billing_docs }}"
    assert rule["annotations"]["runbook"] == f"{place}docs/runbook.md#{rule['alert'].lower()}"
    labels = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["global"]
    assert labels["external_labels"]["billing_docs"].endswith("/")
    chapter = (ROOT / "docs/runbook.md").read_text().partition(f"\n### {rule['alert']}\n")[2]
    assert len(chapter.partition("\n##")[0]) > 100


def test_the_runbook_has_no_chapter_of_an_alert_that_is_gone() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    alerts = text.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^### (\w+)$", alerts, re.MULTILINE)) == {r["alert"] for r in ALERTS}


def test_every_name_in_italics_in_the_runbook_is_a_panel_or_a_heading() -> None:
    """At night nobody finds a panel or a chapter that has another name."""
    text = (ROOT / "docs/runbook.md").read_text()
    # Rooms of the console.
    titles = {"Notifications"} | {panel["title"] for panel in DASHBOARD["panels"]}
    titles |= set(re.findall(r"^#+ (.*)$", text, re.MULTILINE))
    names = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", " ".join(text.split())))
    assert len(names) > 5
    assert names <= titles


def test_every_command_of_the_runbook_exists() -> None:
    import typer

    from cli.commands import app

    group: Any = typer.main.get_command(app)
    for words in re.findall(
        r"\./billing ((?:[a-z-]+ ?){1,2})", (ROOT / "docs/runbook.md").read_text()
    ):
        first, *rest = words.split()
        assert first in group.commands, words
        inner = getattr(group.commands[first], "commands", None)
        if inner is not None:
            assert rest[0] in inner, words


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
