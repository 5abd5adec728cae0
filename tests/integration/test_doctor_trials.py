"""The doctor's trials: a test event and a test notification through a running service."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from doctor import trials
from doctor.examination import examine
from doctor.rights import RIGHTS, Right
from doctor.service import Service
from shared.settings import Settings
from shared.store.connection import open_store
from shared.store.durability import Finding
from shared.store.identity import Identity, ensure_ours
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work.kinds import EVENTS, NOTIFICATIONS
from tests.conftest import SIGNING_SECRET
from tests.integration.doors import Door
from tests.integration.hands import Hands
from tests.integration.test_doctor import KEY, no_endpoint_is_left, register_endpoint, worst
from tests.servers import ROOT
from worker import reconcile

__all__ = ["no_endpoint_is_left"]
Json = dict[str, Any]
OPERATOR = "operator-key-0123"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    keys = {"operator_keys": (SecretStr(OPERATOR),), "api_keys": (SecretStr("api-key-0123"),)}
    return settings.model_copy(update=keys)


@pytest.fixture
def door(settings: Settings, real_store: Store) -> Iterator[Door]:
    """Serve the API on a port."""
    opened = Door(settings, real_store)
    yield opened
    opened.close()


@pytest.fixture
def service(door: Door) -> Service:
    return Service(f"http://127.0.0.1:{door.port}", OPERATOR)


@pytest.fixture
def workers(hands: Hands) -> Iterator[None]:
    """Do a worker's work in a thread, as long as the test lasts."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            hands.ring()
            stop.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


@contextmanager
def peer(answer: Callable[[BaseHTTPRequestHandler], tuple[int, Json]]) -> Iterator[str]:
    """Run a server that answers every request with this status and these headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers = answer(self)
            self.send_response(status)
            for name, value in ({"Content-Length": "0"} | headers).items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # noqa: N815  # http.server's name

        def log_message(self, *_: object) -> None:
            """Write no log line."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def finding_of(findings: list[Finding], words: str) -> Finding:
    """Return the only finding with these words."""
    (one,) = [f for f in findings if words in f.what]
    return one


def test_a_service_that_is_well_passes_both_trials_and_nothing_is_left_of_them(
    settings: Settings, service: Service, workers: None, hands: Hands, sandbox: str
) -> None:
    register_endpoint(sandbox, url=f"{service.url}/api/webhook")
    findings = examine(settings, service)
    for area in ("service", "test event", "stripe"):
        assert worst(findings, area).level == "ok", worst(findings, area)
    assert finding_of(findings, "accepted a test notification").level == "ok"
    assert len([f for f in findings if f.area == "test event"]) == 1
    notifications = hands.notifications()
    assert [one["type"] for one in notifications] == ["test.notification"] * 2
    assert [one["signature"] for one in notifications] == ["valid", "invalid"]
    store = hands.runtime.store
    assert store.redis.zcard(store.keys.due(EVENTS)) == 0
    assert store.redis.zcard(store.keys.due(NOTIFICATIONS)) == 0
    assert not list(store.redis.scan_iter("*:payment:*"))
    event = next(store.redis.scan_iter("*evt_doctor*", _type="HASH"))
    assert store.redis.hget(event, "state") == "ignored"


def test_another_webhook_secret_is_found(
    settings: Settings, service: Service, workers: None
) -> None:
    other = settings.model_copy(update={"stripe_webhook_secret": (SecretStr("whsec_other"),)})
    finding = worst(examine(other, service), "test event")
    assert (finding.level, "invalid_signature" in finding.what) == ("error", True)
    assert "STRIPE_WEBHOOK_SECRET" in finding.fix
    both = (SecretStr("whsec_other"), SecretStr(SIGNING_SECRET))
    rotating = settings.model_copy(update={"stripe_webhook_secret": both})
    assert worst(examine(rotating, service), "test event").level == "ok"


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {}), "The path is wrong"),
        ((308, {"Location": "/api/webhook"}), "Stripe follows no redirect"),
        ((502, {}), "the proxy in front"),
    ],
)
def test_an_address_at_which_stripe_finds_nobody_is_found(
    settings: Settings, service: Service, sandbox: str, answer: tuple[int, Json], words: str
) -> None:
    with peer(lambda _: answer) as address:
        register_endpoint(sandbox, url=f"{address}/api/webhook/")
        findings = examine(settings, service)
    assert words in worst(findings, "test event").fix
    assert finding_of(findings, "ends with a slash").level == "warning"


def test_an_endpoint_of_another_installation_is_found(
    settings: Settings, service: Service, workers: None, sandbox: str
) -> None:
    with peer(lambda _: (200, {})) as address:
        register_endpoint(sandbox, url=f"{address}/api/webhook")
        findings = examine(settings, service)
    assert "another installation" in worst(findings, "test event").fix


def test_each_address_that_nobody_reaches_is_found(
    settings: Settings, service: Service, workers: None, sandbox: str
) -> None:
    addresses = [f"http://127.0.0.1:9/{name}/api/webhook" for name in ("first", "second")]
    for address in addresses:
        register_endpoint(sandbox, url=address)
    findings = examine(settings, service)
    for address in addresses:
        finding = finding_of(findings, f"{address} does not answer")
        assert (finding.area, finding.level) == ("test event", "error")
        assert "Check DNS" in finding.fix


def test_workers_that_do_nothing_are_found(
    settings: Settings, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "PATIENCE_SECONDS", 0.5)
    findings = examine(settings, service)
    assert "not processed" in worst(findings, "test event").what
    assert "no notifier tried" in worst(findings, "notification").what


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "EVENT_SERVICE_SECRET"),
        (404, "EVENT_SERVICE_PATH"),
        (307, "The service follows no redirect"),
        (500, "Read the log of the event service"),
    ],
)
def test_an_event_service_that_does_not_accept_is_found(
    settings: Settings, service: Service, hands: Hands, status: int, words: str
) -> None:
    with peer(lambda _: (status, {"Location": "/elsewhere"})) as address, answering(hands, address):
        there = settings.model_copy(update={"event_service_url": address})
        findings = examine(there, service)
    finding = finding_of(findings, "did not accept a test notification")
    assert (finding.level, words in finding.fix) == ("error", True)
    assert finding_of(findings, "refuses a wrong signature").level == "ok"


@contextmanager
def answering(hands: Hands, address: str) -> Iterator[None]:
    """Do a notifier's work for an event service at another address."""
    from worker.runtime import Runtime

    changes = {"event_service_url": address, "retry_base_seconds": 3600.0}
    hands.runtime = Runtime(hands.runtime.settings.model_copy(update=changes), hands.runtime.store)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            hands.ring()
            stop.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
    hands.runtime.event_service.close()


def test_an_event_service_that_is_a_billing_api_is_found(
    settings: Settings, service: Service, workers: None
) -> None:
    itself = settings.model_copy(update={"event_service_url": service.url})
    finding = worst(examine(itself, service), "event service")
    assert (finding.level, "is a billing API" in finding.what) == ("error", True)


def test_an_event_service_that_verifies_nothing_is_found(
    settings: Settings, service: Service, workers: None
) -> None:
    assert finding_of(examine(settings, service), "refuses a wrong signature (401)").level == "ok"
    with peer(lambda _: (200, {})) as address:
        there = settings.model_copy(update={"event_service_url": address})
        findings = examine(there, service)
    assert finding_of(findings, "anybody can forge").level == "warning"


def test_a_service_that_runs_with_other_settings_is_found(
    settings: Settings, service: Service, workers: None, valkey_url: str
) -> None:
    elsewhere = settings.model_copy(
        update={"redis_url": valkey_url.replace("/0", "/1"), "event_service_path": "/other"}
    )
    findings = [f for f in examine(elsewhere, service) if f.area == "service"]
    differing = [f.what for f in findings if f.level == "warning"]
    assert [what.split(" has ")[1].split(" ")[0] for what in differing] == [
        "REDIS_URL",
        "EVENT_SERVICE_PATH",
    ]


def test_without_settings_the_running_service_is_examined_all_the_same(
    service: Service, workers: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_URL"):
        monkeypatch.delenv(name, raising=False)
    findings = examine(None, service)
    assert finding_of(findings, "answers: version").level == "ok"
    assert finding_of(findings, "accepted a test notification").level == "ok"


def test_what_a_missing_setting_does_not_concern_is_examined(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """docs/going-live.md sets one thing after the other, and has the doctor look after each."""
    monkeypatch.chdir(tmp_path)
    for name in ("STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STRIPE_SECRET_KEY", "rk_test_0123456789abcdefghij")
    monkeypatch.setenv("STRIPE_API_BASE", str(settings.stripe_api_base))
    findings = examine()
    missing = [f.what.split()[0] for f in findings if f.area == "settings" and f.level == "error"]
    assert missing == ["EVENT_SERVICE_URL", "STRIPE_WEBHOOK_SECRET"]
    assert finding_of(findings, "the restricted key has every right").level == "ok"
    assert {f.area for f in findings} == {"settings", "stripe"}

    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.delenv("STRIPE_SECRET_KEY")
    findings = examine()
    assert finding_of(findings, "maxmemory-policy").area == "redis"
    assert not [f for f in findings if "Stripe answers" in f.what]


def test_a_service_that_is_away_or_refuses_the_key_is_an_error(
    settings: Settings, service: Service
) -> None:
    away = worst(examine(settings, Service("http://127.0.0.1:9", OPERATOR)), "service")
    assert (away.level, "does not answer" in away.what) == ("error", True)
    findings = examine(settings, Service(service.url, "wrong"))
    refusal = finding_of(findings, "refuses the operator key (unauthorized)")
    assert (refusal.level, "--key" in refusal.fix) == ("error", True)
    assert not [f for f in findings if "another installation" in f.fix]


@pytest.mark.usefixtures("workers")
def test_a_redis_that_is_away_is_told_once(settings: Settings, service: Service) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    finding = finding_of(examine(away, service), "Redis does not answer")
    assert (finding.level, finding.area) == ("error", "redis")


def test_the_account_and_the_mode_of_the_data_are_named(
    settings: Settings, real_store: Store
) -> None:
    assert finding_of(examine(settings), "no data yet").level == "ok"
    ensure_ours(real_store, Identity("sandbox", account=StripeGateway(settings).account_id()))
    finding = finding_of(examine(settings), "the data belong to this installation")
    assert (finding.level, "mode sandbox, account acct_" in finding.what) == ("ok", True)


def test_a_redis_of_another_installation_is_found(settings: Settings, real_store: Store) -> None:
    ensure_ours(real_store, Identity("live", account="acct_other"))
    finding = finding_of(examine(settings), "of another installation")
    assert (finding.level, "acct_other" in finding.what) == ("error", True)


def test_a_clock_of_a_process_is_found(settings: Settings) -> None:
    store = open_store(settings, "tests")
    store.redis.hset(store.keys.clocks(), "host:1", 9000)
    store.redis.zadd(store.keys.signs("relay"), {"host:1": store.now_ms()})
    store.redis.close()
    assert "host:1" in finding_of(examine(settings), "differs from Redis's").what


# Findings about the Stripe key.


def test_a_secret_key_of_a_live_account_is_warned_of(settings: Settings) -> None:
    live = settings.model_copy(update={"stripe_secret_key": SecretStr("sk_live_tests_0123456789")})
    assert finding_of(examine(live), "which has every right").level == "warning"


@pytest.mark.parametrize("right", RIGHTS, ids=lambda right: right.name)
def test_a_right_that_a_restricted_key_lacks_is_named(
    settings: Settings, sandbox: str, right: Right
) -> None:
    restricted = settings.model_copy(
        update={"stripe_secret_key": SecretStr("rk_test_tests_0123456789")}
    )
    assert finding_of(examine(restricted), "every right that this service needs").level == "ok"
    match = {"method": right.method.upper(), "path_prefix": right.path}
    fault = {"match": match, "kind": "error", "status": 403, "times": None}
    requests.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=5).raise_for_status()
    finding = finding_of(examine(restricted), f"the right {right.name}")
    requests.delete(f"{sandbox}/_sandbox/faults", timeout=5).raise_for_status()
    assert finding.level == ("error" if right.required else "warning")


@pytest.mark.parametrize("right", RIGHTS, ids=lambda right: right.name)
def test_a_right_that_is_tried_is_in_the_table_of_going_live(right: Right) -> None:
    page = (ROOT / "docs/going-live.md").read_text()
    assert f"\n| {right.name.split(':')[0]}: " in page


def test_the_rights_are_found_out_without_an_effect(settings: Settings, sandbox: str) -> None:
    restricted = settings.model_copy(
        update={"stripe_secret_key": SecretStr("rk_test_tests_0123456789")}
    )
    examine(restricted)
    for kind in ("payment_intents", "refunds", "events"):
        listing = requests.get(f"{sandbox}/v1/{kind}", headers=KEY, timeout=5).json()
        assert listing["data"] == [], kind


# Findings about endpoints at Stripe.


def test_a_disabled_endpoint_is_found(settings: Settings, sandbox: str) -> None:
    register_endpoint(sandbox)
    listing = requests.get(f"{sandbox}/v1/webhook_endpoints", headers=KEY, timeout=5).json()
    requests.post(
        f"{sandbox}/v1/webhook_endpoints/{listing['data'][0]['id']}",
        data={"disabled": "true"},
        headers=KEY,
        timeout=5,
    ).raise_for_status()
    assert "it gets no events" in finding_of(examine(settings), "is disabled at Stripe").what


def test_endpoints_with_other_paths_are_named(settings: Settings, sandbox: str) -> None:
    register_endpoint(sandbox, url="https://billing.example/webhooks/stripe")
    finding = finding_of(examine(settings), "no enabled webhook endpoint")
    assert "https://billing.example/webhooks/stripe" in finding.what


def test_events_that_stripe_could_not_deliver_are_found(
    settings: Settings, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doctor.endpoints.DELIVERED_BY_SECONDS", -60)
    with peer(lambda _: (400, {})) as address:
        register_endpoint(sandbox, url=f"{address}/api/webhook")
        body = {
            "amount": 1000,
            "currency": "sgd",
            "payment_method": "pm_card_visa",
            "confirm": "true",
        }
        body["automatic_payment_methods[enabled]"] = "true"
        body["automatic_payment_methods[allow_redirects]"] = "never"
        requests.post(
            f"{sandbox}/v1/payment_intents", data=body, headers=KEY, timeout=5
        ).raise_for_status()
        finding = finding_of(examine(settings), "Stripe has not delivered")
    assert (finding.level, "invalid_signature" in finding.fix) == ("warning", True)


def test_the_state_of_our_endpoint_is_measured_with_each_comparison(
    hands: Hands, settings: Settings, sandbox: str
) -> None:
    def measured() -> dict[str, float]:
        page = hands.client.get("/metrics", headers={"Authorization": f"Bearer {OPERATOR}"}).text
        lines = re.findall(
            r'^billing_webhook_endpoints\{status="(\w+)"\} (\S+)$', page, re.MULTILINE
        )
        return {status: float(value) for status, value in lines}

    assert measured() == {}
    register_endpoint(sandbox, url="https://another.example/hook")
    register_endpoint(sandbox)
    reconcile.run_once(hands.runtime)
    assert measured() == {"enabled": 1, "disabled": 0}
    for endpoint in StripeGateway(settings).webhook_endpoints():
        StripeGateway(settings).update_webhook_endpoint(endpoint["id"], disabled=True)
    reconcile.run_once(hands.runtime)
    assert measured() == {"enabled": 0, "disabled": 1}


def test_a_key_that_may_not_read_endpoints_rings_no_alarm(hands: Hands, sandbox: str) -> None:
    match = {"path_prefix": "/v1/webhook_endpoints"}
    fault = {"match": match, "kind": "error", "status": 403, "times": 1}
    requests.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=5).raise_for_status()
    assert reconcile.run_once(hands.runtime).outcome == "complete"
    counts = hands.runtime.store.tally.take()
    assert not [series for series in counts if "stripe_permission_missing" in series[1]]
