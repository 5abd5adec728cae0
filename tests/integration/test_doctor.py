"""The doctor reports each possible fault of an installation, with its fix."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from doctor.examination import STATUS, examine
from shared.errors import Misconfigured
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.durability import Finding, ensure_durable, inspect
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work.kinds import EVENTS, KINDS
from shared.work.liveness import (
    FORGOTTEN_MS,
    RELAY,
    STUCK,
    Signs,
    alive,
    process_name,
    pulse,
)
from tests import servers
from tests.conftest import make_settings
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury
from worker.registry import handled_types
from worker.relay import run_once

KEY = {"Authorization": "Bearer sk_test_tests_0123456789"}
LIVE = {"stripe_secret_key": "sk_live_tests_0123456789", "api_keys": "api-key-0123456789"}


def worst(findings: list[Finding], area: str) -> Finding:
    """Return the worst finding of an area."""
    return max((f for f in findings if f.area == area), key=lambda f: STATUS[f.level])


def everyone_lives(store: Store) -> None:
    """Return a sign of life for every queue and the relay."""
    for kind in KINDS.values():
        Signs(store).give(kind.name)
    Signs(store).give(RELAY)


def register_endpoint(sandbox: str, **fields: Any) -> None:
    """Register a webhook endpoint at Stripe."""
    body = {"url": "https://billing.example/api/webhook", "enabled_events[]": "*"} | fields
    answer = requests.post(
        f"{sandbox}/v1/webhook_endpoints",
        data=body,
        headers=KEY,
        timeout=5,
    )
    answer.raise_for_status()


@pytest.fixture(autouse=True)
def no_endpoint_is_left(sandbox: str) -> Iterator[None]:
    """Delete every endpoint, so that no events of other tests are sent to it."""
    yield
    gateway = StripeGateway(make_settings(stripe_api_base=sandbox))
    for endpoint in gateway.webhook_endpoints():
        requests.delete(
            f"{sandbox}/v1/webhook_endpoints/{endpoint['id']}", headers=KEY, timeout=5
        ).raise_for_status()


@pytest.fixture
def durable_url() -> Any:
    """Run a Valkey with the settings that the service needs."""
    options = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "64mb")
    with servers.valkey(*options, "--dir", servers.tempfile.mkdtemp()) as url:
        yield url


def test_an_installation_that_is_well_has_no_finding_to_act_on(
    settings: Settings, durable_url: str, sandbox: str
) -> None:
    keys = make_settings(api_keys="api-key-0123", operator_keys="operator-key-0123")
    update = {
        "redis_url": durable_url,
        "api_keys": keys.api_keys,
        "operator_keys": keys.operator_keys,
    }
    well = settings.model_copy(update=update)
    register_endpoint(sandbox)
    with connect(well, "tests") as client:
        everyone_lives(Store(client))
    findings = examine(well)
    assert [f for f in findings if f.level != "ok"] == []
    assert {f.area for f in findings} == {
        "settings",
        "redis",
        "workers",
        "upkeep",
        "stripe",
        "event service",
    }


def test_every_finding_that_is_not_well_names_its_fix(settings: Settings) -> None:
    findings = examine(settings)
    assert len([f for f in findings if f.level != "ok"]) > 5
    assert all(finding.fix for finding in findings if finding.level != "ok")


def test_a_redis_that_is_away_is_an_error_and_the_rest_is_examined(settings: Settings) -> None:
    findings = examine(settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"}))
    assert worst(findings, "redis").level == "error"
    assert worst(findings, "event service").level == "ok"


def test_a_stripe_that_is_away_is_an_error(settings: Settings) -> None:
    findings = examine(settings.model_copy(update={"stripe_api_base": "http://127.0.0.1:9"}))
    assert worst(findings, "stripe").level == "error"


def test_an_event_service_that_is_away_is_an_error(settings: Settings) -> None:
    findings = examine(settings.model_copy(update={"event_service_url": "http://127.0.0.1:9"}))
    assert worst(findings, "event service").level == "error"


def test_no_endpoint_at_stripe_is_found(settings: Settings) -> None:
    assert "no enabled webhook endpoint" in worst(examine(settings), "stripe").what


def test_types_that_an_endpoint_lacks_are_named(settings: Settings, sandbox: str) -> None:
    register_endpoint(sandbox, **{"enabled_events[]": "payment_intent.succeeded"})
    finding = worst(examine(settings), "stripe")
    assert finding.level == "warning"
    assert "charge.dispute.created" in finding.what
    assert "payment_intent.succeeded" not in finding.what


def test_an_endpoint_of_another_api_version_is_found(settings: Settings, sandbox: str) -> None:
    register_endpoint(sandbox, api_version="2024-06-20")
    assert "2024-06-20" in worst(examine(settings), "stripe").what


@pytest.mark.parametrize(
    ("seconds", "level"), [(0, "warning"), (60, "warning"), (600, "error"), (-600, "error")]
)
def test_a_clock_that_is_off_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, seconds: int, level: str
) -> None:
    now = int(time.time())
    monkeypatch.setattr(StripeGateway, "server_time", lambda _: (now + seconds, now))
    finding = [f for f in examine(settings) if "its clock and ours differ" in f.what]
    assert finding[0].level == (level if seconds else "ok")


def test_silence_is_found_and_dead_letters_are_mentioned(
    settings: Settings, real_store: Store
) -> None:
    bury(real_store, "evt_1")
    findings = examine(settings)
    assert worst(findings, "workers").level == "warning"  # without upkeep it is unknown
    assert worst(findings, "upkeep").level == "error"
    assert worst(findings, "dead letters").what == "1 events were given up"
    everyone_lives(real_store)
    findings = examine(settings)
    assert worst(findings, "workers").level == "ok"
    assert worst(findings, "upkeep").level == "ok"


def test_missing_settings_are_findings_one_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_URL"):
        monkeypatch.delenv(name, raising=False)
    findings = examine()
    assert len(findings) == 3
    assert {f.level for f in findings} == {"error"}


# Settings of Redis.


@pytest.mark.parametrize(
    ("options", "level", "what"),
    [
        (("--appendonly", "no"), "error", "append-only file off"),
        (("--appendonly", "yes", "--appendfsync", "everysec"), "warning", "everysec"),
        (("--maxmemory-policy", "allkeys-lru"), "error", "allkeys-lru"),
        (("--maxmemory", "0"), "warning", "maxmemory not set"),
        (("--maxmemory", "1mb"), "warning", "of 1 MB"),
    ],
)
def test_each_setting_that_loses_work_is_found(
    options: tuple[str, ...], level: str, what: str
) -> None:
    folder = servers.tempfile.mkdtemp()
    with (
        servers.valkey(*options, "--dir", folder) as url,
        connect(make_settings(redis_url=url), "tests") as client,
    ):
        finding = [f for f in inspect(Store(client)) if what in f.what]
    assert [f.level for f in finding] == [level]


def test_with_real_money_a_store_that_forgets_is_refused(real_store: Store) -> None:
    with pytest.raises(Misconfigured, match="appendonly yes"):
        ensure_durable(real_store, make_settings(**LIVE))
    ensure_durable(real_store, make_settings())


def test_with_real_money_a_store_that_keeps_is_taken(durable_url: str) -> None:
    with connect(make_settings(redis_url=durable_url), "tests") as client:
        ensure_durable(Store(client), make_settings(**LIVE))


def test_a_store_that_does_not_answer_yet_keeps_nobody_from_starting() -> None:
    with connect(make_settings(redis_url="redis://127.0.0.1:9/0"), "tests") as client:
        ensure_durable(Store(client), make_settings(**LIVE))


def test_where_config_is_forbidden_what_can_be_known_is(durable_url: str) -> None:
    with connect(make_settings(redis_url=durable_url), "tests") as client:
        client.execute_command("ACL", "SETUSER", "default", "-config")
        findings = inspect(Store(client))
    levels = {f.what.split(":")[0]: f.level for f in findings}
    assert levels["append-only file on"] == "ok"
    assert levels["maxmemory-policy noeviction"] == "ok"
    assert levels["appendfsync unknown"] == "warning"


# Signs of life.


def test_a_pulse_rings_on_idle_queues_only_and_once_in_a_while(store: Store) -> None:
    bury(store, "evt_1")
    assert store.redis.llen(store.keys.queue(EVENTS)) == 1
    pulse(store)
    pulse(store)
    assert {k.name: store.redis.llen(store.keys.queue(k)) for k in KINDS.values()} == {
        "events": 1,
        "refunds": 1,
        "notifications": 1,
        "upkeep": 1,
    }


def test_whoever_is_silent_for_long_is_forgotten(store: Store) -> None:
    now = store.now_ms()
    store.redis.zadd(
        store.keys.signs(RELAY), {"old:1": now - FORGOTTEN_MS - 1, "late:1": now - 60_000}
    )
    assert alive(store).upkeep_is_silent()
    Signs(store).give(RELAY)
    assert not alive(store).upkeep_is_silent()
    assert "old:1" not in alive(store).upkeep


def test_whoever_ended_is_not_counted_and_its_clock_is_nobodys(
    settings: Settings, real_store: Store
) -> None:
    everyone_lives(real_store)
    Signs(real_store).give(RELAY)
    ended = real_store.now_ms() - 60_000
    for name in (*KINDS, RELAY):
        real_store.redis.zadd(real_store.keys.signs(name), {"ended:1": ended, "ended:2": ended})
    real_store.redis.hset(real_store.keys.clocks(), "ended:1", 90_000)
    finding = [f for f in examine(settings) if f.area in ("upkeep", "workers")]
    assert [f.level for f in finding] == ["ok"] * (1 + len(KINDS))
    assert all(f.what.startswith("1 ") for f in finding)
    assert "ended:1" not in alive(real_store).clocks


def test_a_stripe_that_is_away_is_told_once_and_not_as_a_missing_right(settings: Settings) -> None:
    away = settings.model_copy(update={"stripe_api_base": "http://127.0.0.1:9"})
    (finding,) = [f for f in examine(away) if f.area == "stripe"]
    assert (finding.level, finding.what) == ("error", "Stripe does not answer")
    assert "network" in finding.fix


def test_upkeep_is_judged_before_workers(
    hands: Hands, settings: Settings, real_store: Store
) -> None:
    """Without upkeep idle queues get no pulse, so their silence does not show missing workers."""
    finding = [f for f in examine(settings) if f.area in ("upkeep", "workers")]
    assert [f.area for f in finding if f.level == "error"] == ["upkeep"]
    assert finding[0].area == "upkeep"
    assert all("cannot be told" in f.what for f in finding[1:])
    queues = hands.client.get("/ops/queues").get_json()
    assert queues["upkeep_silent"]
    assert not any(row["silent"] for row in queues["data"])
    checks = hands.client.get("/health/ready").get_json()["checks"]
    assert (checks["workers"], checks["upkeep"]) == ("unknown while upkeep is silent", "silent")
    Signs(real_store).give(RELAY)
    finding = [f for f in examine(settings) if f.area in ("upkeep", "workers")]
    assert [f.area for f in finding if f.level == "error"] == ["workers"] * len(KINDS)
    queues = hands.client.get("/ops/queues").get_json()
    assert all(row["silent"] for row in queues["data"])
    checks = hands.client.get("/health/ready").get_json()["checks"]
    assert checks["workers"] == "silent: " + ", ".join(KINDS)


def test_workers_that_gave_signs_are_there_with_or_without_upkeep(hands: Hands) -> None:
    for kind in KINDS.values():
        Signs(hands.runtime.store).give(kind.name)
    checks = hands.client.get("/health/ready").get_json()["checks"]
    assert (checks["workers"], checks["upkeep"]) == ("ok", "silent")


def test_a_stuck_worker_is_told_everywhere(
    hands: Hands, settings: Settings, real_store: Store
) -> None:
    everyone_lives(real_store)
    Signs(real_store).give(RELAY)
    Signs(real_store).give(STUCK)
    (finding,) = [f for f in examine(settings) if "stuck" in f.what]
    assert finding.level == "error"
    checks = hands.client.get("/health/ready").get_json()["checks"]
    assert checks["workers"].startswith("stuck: ")
    assert hands.client.get("/ops/queues").get_json()["stuck"]
    real_store.redis.zadd(real_store.keys.signs(STUCK), {process_name(): 1})
    assert hands.client.get("/ops/queues").get_json()["stuck"] == []


def test_a_relays_sign_is_no_sign_of_a_worker(store: Store) -> None:
    Signs(store).give(RELAY)
    assert set(alive(store).silent_queues()) == set(KINDS)
    for kind in KINDS.values():
        Signs(store).give(kind.name)
    assert alive(store).silent_queues() == []


def test_signs_cost_one_write_in_a_few_seconds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = Signs(store)
    signs.give(RELAY)
    store.redis.delete(store.keys.signs(RELAY))
    signs.give(RELAY)
    assert store.redis.exists(store.keys.signs(RELAY)) == 0
    later = time.monotonic() + 60
    monkeypatch.setattr("shared.work.liveness.time.monotonic", lambda: later)
    signs.give(RELAY)
    assert store.redis.exists(store.keys.signs(RELAY)) == 1


def test_readiness_tells_who_is_silent_and_stays_ready(hands: Hands) -> None:
    checks = hands.client.get("/health/ready")
    assert checks.status_code == 200
    assert checks.get_json()["checks"]["upkeep"] == "silent"
    everyone_lives(hands.runtime.store)
    run_once(hands.runtime.store)
    assert hands.client.get("/health/ready").get_json()["checks"] == {
        "redis": "ok",
        "workers": "ok",
        "upkeep": "ok",
    }


def test_the_doctor_asks_for_every_handled_type(settings: Settings, sandbox: str) -> None:
    register_endpoint(sandbox, **{"enabled_events[]": "customer.created"})
    finding = worst(examine(settings), "stripe").what
    assert all(event_type in finding for event_type in handled_types())


def test_no_password_of_a_url_is_printed(settings: Settings) -> None:
    urls = {
        "redis_url": "redis://:hunter2@127.0.0.1:9/0",
        "event_service_url": "http://kim:hunter2@127.0.0.1:9",
        "stripe_api_base": "http://kim:hunter2@127.0.0.1:9",
    }
    findings = examine(settings.model_copy(update=urls))
    queues = " ".join(f"{finding.what} {finding.fix}" for finding in findings)
    assert "http://kim:***@127.0.0.1:9" in queues
    assert "hunter2" not in queues
