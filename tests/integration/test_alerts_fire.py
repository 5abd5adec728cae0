"""Alert rules in Prometheus' own `promtool`: quiet when all is well, and loud after one incident.

The series are those that the service itself shows, before and after the incident.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.metrics import families
from shared.store.figures import flush
from shared.store.scripts import Store
from shared.telemetry.tally import GARBAGE, OTHER_MODE_EVENTS, OTHER_VERSION_EVENTS, STRIPE_LOWERED
from tests.servers import ROOT

RULES = ROOT / "deploy/prometheus/alerts.yml"
ALERTS = [
    rule["alert"]
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
]
# Series of a fresh store that no process serves yet; here they have the values of one that works.
WELL = {
    "billing_queue_silent_seconds": 5,
    "billing_upkeep_silent_seconds": 1,
    "billing_reconcile_age_seconds": 60,
    "billing_reconcile_watermark_age_seconds": 60,
    "billing_store_findings": 0,
}
MINUTES_BEFORE = 5
MINUTES_AFTER = 25

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on this machine"),
]


def count(metric: Any, times: int = 1, **labels: str) -> Callable[[Store], None]:
    return lambda store: store.tally.count(metric, times, **labels)


def call(result: str) -> Callable[[Store], None]:
    return lambda store: store.tally.stripe_call("payment_intents.create", result, 0.1)


def webhook(result: str, status: int) -> Callable[[Store], None]:
    return lambda store: store.tally.webhook("/api/webhook", status, 0.01, result)


# What is counted once, and the alert that it fires.
INCIDENTS = [
    ("QueueGarbage", count(GARBAGE, queue="refunds")),
    ("EventsOfAnotherMode", count(OTHER_MODE_EVENTS, mode="live", account="own")),
    ("StripeRateLimited", count(STRIPE_LOWERED, times=20)),
    ("StripeKeyRefused", call("stripe_key_refused")),
    ("StripePermissionMissing", call("stripe_permission_missing")),
    ("OtherApiVersion", count(OTHER_VERSION_EVENTS, api_version="2020-08-27")),
]
HARMLESS = [
    ("no event of our own account", count(OTHER_MODE_EVENTS, mode="test", account="acct_1Other")),
    ("a refusal of one request", call("card_declined")),
    ("a recorded webhook", webhook("recorded", 200)),
]
# A measurement at a value that is wrong for as long as it is shown.
STATES = [
    ("QueueSilent", 'billing_queue_silent_seconds{queue="refunds"}', "600"),
    ("WorkerStuck", "billing_workers_stuck", "1"),
    ("UpkeepSilent", "billing_upkeep_silent_seconds", "600"),
    ("EventsLate", 'billing_oldest_open_seconds{kind="events"}', "301"),
    ("RefundsLate", 'billing_oldest_open_seconds{kind="refunds"}', "901"),
    ("NotificationsLate", 'billing_oldest_open_seconds{kind="notifications"}', "901"),
    ("EventServiceIll", "billing_breaker_open", "1"),
    ("DeadLetters", 'billing_dead_letters{queue="events"}', "3"),
    ("ReconcileStale", "billing_reconcile_age_seconds", "+Inf"),
    ("ClockSkewed", 'billing_clock_ahead_seconds{process="a:1"}', "-3"),
    ("StoreNotDurable", 'billing_store_findings{level="error"}', "1"),
]


def samples_of(store: Store) -> dict[str, str]:
    """Return what a scrape shows: a series as Prometheus writes it, and its value."""
    flush(store)
    samples = (sample for family in families(store) for sample in family.samples)
    values = {}
    for sample in samples:
        labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
        value = WELL.get(sample.name, sample.value)
        values[f"{sample.name}{{{labels}}}" if labels else sample.name] = _number(value)
    return values | {'up{job="billing"}': "1"}


def _number(value: float) -> str:
    return "+Inf" if value == float("inf") else f"{value:g}"


def series(before: dict[str, str], after: dict[str, str]) -> list[dict[str, str]]:
    """Write each series as the values of every minute: first `before`, then `after`."""
    return [
        {
            "series": name,
            "values": " ".join(
                [before.get(name, "_")] * MINUTES_BEFORE + [after.get(name, "_")] * MINUTES_AFTER
            ),
        }
        for name in sorted(before | after)
    ]


def firing(folder: Path, rows: list[dict[str, str]], expected: Iterable[str]) -> str:
    """Let promtool evaluate all rules; return what it says when other alerts fire than expected."""
    expected = set(expected)
    shutil.copy(RULES, folder / "alerts.yml")
    # Only the count of firing alerts and their names: their labels and texts are not the question.
    expected_samples = [
        {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)
    ]
    ends = MINUTES_BEFORE + MINUTES_AFTER
    fired_ever = f'max_over_time(ALERTS{{alertstate="firing"}}[{ends}m])'
    question = f"count by (alertname) ({fired_ever}) > bool 0"
    test = {
        "interval": "1m",
        "input_series": rows,
        "promql_expr_test": [
            {"expr": question, "eval_time": f"{ends}m", "exp_samples": expected_samples}
        ],
    }
    content = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yml").write_text(yaml.safe_dump(content))
    process = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if process.returncode == 0 else process.stdout + process.stderr


def test_the_rules_are_valid_for_prometheus() -> None:
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True)


@pytest.mark.parametrize(("alert", "incident"), INCIDENTS, ids=[alert for alert, _ in INCIDENTS])
def test_one_incident_fires_its_alert_and_no_other(
    real_store: Store, tmp_path: Path, alert: str, incident: Callable[[Store], None]
) -> None:
    before = samples_of(real_store)
    incident(real_store)
    assert firing(tmp_path, series(before, samples_of(real_store)), {alert}) == ""


@pytest.mark.parametrize(("what", "incident"), HARMLESS, ids=[what for what, _ in HARMLESS])
def test_what_is_no_incident_fires_nothing(
    real_store: Store, tmp_path: Path, what: str, incident: Callable[[Store], None]
) -> None:
    before = samples_of(real_store)
    incident(real_store)
    assert firing(tmp_path, series(before, samples_of(real_store)), ()) == "", what


@pytest.mark.parametrize(("alert", "name", "value"), STATES, ids=[alert for alert, *_ in STATES])
def test_a_bad_state_fires_its_alert_and_no_other(
    real_store: Store, tmp_path: Path, alert: str, name: str, value: str
) -> None:
    before = samples_of(real_store)
    assert firing(tmp_path, series(before, before | {name: value}), {alert}) == ""


def test_without_a_scrape_billing_is_down(real_store: Store, tmp_path: Path) -> None:
    before = samples_of(real_store)
    rows = series(before, {'up{job="billing"}': "0"})
    assert firing(tmp_path, rows, {"BillingDown"}) == ""


def test_an_endpoint_that_is_disabled_fires_unless_another_is_enabled(
    real_store: Store, tmp_path: Path
) -> None:
    before = samples_of(real_store)
    disabled = {'billing_webhook_endpoints{status="disabled"}': "1"}
    another = disabled | {'billing_webhook_endpoints{status="enabled"}': "1"}
    none = disabled | {'billing_webhook_endpoints{status="enabled"}': "0"}
    assert firing(tmp_path, series(before, before | none), {"WebhookEndpointDisabled"}) == ""
    assert firing(tmp_path, series(before, before | another), ()) == ""
