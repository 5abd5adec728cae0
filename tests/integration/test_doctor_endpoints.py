"""Findings of the doctor about the sources of events: endpoints, destinations, the other mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from doctor.examination import _endpoints
from doctor.other_mode import events_of_other_mode
from doctor.registration import Registration, Target
from shared.settings import Settings
from shared.store.durability import Finding
from shared.store.figures import flush
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.telemetry.tally import OTHER_MODE_EVENTS
from shared.work.reconciliation import Reconciliation
from tests.conftest import make_settings
from tests.integration.hands import Hands
from worker.endpoints import note_endpoints
from worker.lost_events import GENERATION_FAILURE
from worker.registry import thin_types

Json = dict[str, Any]
KEY = {"Authorization": "Bearer sk_test_tests_0123456789"}
URL = "https://billing.example/api/webhook"
PLACES = {"thin": "/v2/core/event_destinations", "snapshot": "/v1/webhook_endpoints"}


@pytest.fixture
def at_stripe(sandbox: str) -> Iterator[Settings]:
    """Return settings for a Stripe without endpoints; delete all endpoints afterwards."""
    yield make_settings(stripe_api_base=sandbox)
    for place in PLACES.values():
        for one in requests.get(sandbox + place, headers=KEY, timeout=5).json()["data"]:
            requests.delete(f"{sandbox}{place}/{one['id']}", headers=KEY, timeout=5)


def thin(settings: Settings, url: str = URL, types: list[str] | None = None) -> None:
    body = {
        "name": "billing",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": types or thin_types(),
        "webhook_endpoint": {"url": url},
    }
    register(settings, "thin", json=body)


def snapshots(settings: Settings, types: list[str], url: str = URL) -> None:
    register(settings, "snapshot", data={"url": url, "enabled_events[]": types})


def register(settings: Settings, kind: str, **body: Any) -> None:
    place = f"{settings.stripe_api_base}{PLACES[kind]}"
    requests.post(place, headers=KEY, timeout=5, **body).raise_for_status()


def findings_of(settings: Settings) -> list[Finding]:
    return list(_endpoints(settings, StripeGateway(settings, max_network_retries=0)))


def not_well(settings: Settings) -> list[str]:
    return [finding.what for finding in findings_of(settings) if finding.level != "ok"]


def test_a_thin_destination_alone_is_well(at_stripe: Settings) -> None:
    thin(at_stripe)
    (finding, *_) = findings_of(at_stripe)
    assert (finding.level, "event destination" in finding.what) == ("ok", True)
    assert "every type" in finding.what


def test_what_a_thin_destination_lacks_is_named_by_our_names(at_stripe: Settings) -> None:
    lost = [GENERATION_FAILURE, "v1.charge.refunded"]
    thin(at_stripe, types=[name for name in thin_types() if name not in lost])
    (what,) = not_well(at_stripe)
    assert what.endswith(f"does not send charge.refunded, {GENERATION_FAILURE}")


@pytest.mark.parametrize("path", ["//", "s", "/x", "?x=/api/webhook"])
def test_a_url_that_the_door_does_not_take_is_not_ours(at_stripe: Settings, path: str) -> None:
    url = f"https://billing.example/other{path}" if path[0] == "?" else URL + path
    snapshots(at_stripe, ["*"], url)
    thin(at_stripe, url)
    assert "has the path /api/webhook" in not_well(at_stripe)[0]


def test_a_key_that_may_not_list_destinations_is_told_so(at_stripe: Settings) -> None:
    fault = {"match": {"path_prefix": "/v2/core/event_destinations"}, "kind": "error"}
    fault |= {"status": 403, "times": None}
    faults = f"{at_stripe.stripe_api_base}/_sandbox/faults"
    requests.post(faults, json=fault, timeout=5).raise_for_status()
    try:
        what, none = not_well(at_stripe)
    finally:
        requests.delete(faults, timeout=5).raise_for_status()
    assert "cannot be listed" in what
    assert "no enabled webhook endpoint" in none


def test_an_endpoint_of_connected_accounts_stands_for_none_of_our_own(at_stripe: Settings) -> None:
    register(at_stripe, "snapshot", data={"url": URL, "enabled_events[]": "*", "connect": "true"})
    (what,) = not_well(at_stripe)
    assert what.endswith("gets the events of our own account")
    thin(at_stripe)
    assert not_well(at_stripe) == []


def test_connected_accounts_that_nobody_hears_of_are_told(
    at_stripe: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    thin(at_stripe)
    monkeypatch.setattr(StripeGateway, "connected_accounts", lambda _: iter(["acct_1Other"]))
    (what,) = not_well(at_stripe)
    assert what.endswith("gets the events of connected accounts (acct_1Other)")
    register(at_stripe, "snapshot", data={"url": URL, "enabled_events[]": "*", "connect": "true"})
    assert not_well(at_stripe) == []


def test_a_comparison_knows_a_thin_destination(at_stripe: Settings, hands: Hands) -> None:
    store, name = hands.runtime.store, hands.runtime.store.keys.reconcile()
    note_endpoints(hands.runtime, Reconciliation(store))
    assert store.fields(name, "endpoints_enabled") == ["0"]
    thin(at_stripe)
    note_endpoints(hands.runtime, Reconciliation(store))
    assert store.fields(name, "endpoints_enabled") == ["1"]


def test_events_of_the_other_mode_are_told_by_whose_they_are(real_store: Store) -> None:
    assert list(events_of_other_mode(real_store)) == []
    for account, number in (("own", 2), ("acct_1Few", 1), ("acct_1Many", 3)):
        real_store.tally.count(OTHER_MODE_EVENTS, number, mode="test", account=account)
    flush(real_store)
    own, connected = events_of_other_mode(real_store)
    assert (own.level, connected.level) == ("warning", "ok")
    assert own.what.startswith("2 events of our own account")
    assert own.fix
    assert connected.what.startswith("4 events of connected accounts")
    assert connected.what.endswith("acct_1Many 3, acct_1Few 1")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ("", "snapshot"),
        (" --connect", "snapshot"),
        (" --thin", "thin"),
        (" --thin --connect", "thin"),
    ],
)
def test_the_advice_repairs_this_endpoint_and_no_other(
    at_stripe: Settings, options: str, kind: str
) -> None:
    """The command without these options would create another endpoint beside the broken one."""
    target = Target(thin=kind == "thin", connect="--connect" in options)
    registration = Registration(target, at_stripe)
    registration.carry_out(registration.plan(URL))
    place = f"{at_stripe.stripe_api_base}{PLACES[kind]}"
    (one,) = requests.get(place, headers=KEY, timeout=5).json()["data"]
    if kind == "thin":
        requests.post(f"{place}/{one['id']}/disable", headers=KEY, timeout=5).raise_for_status()
    else:
        body = {"disabled": "true"}
        requests.post(f"{place}/{one['id']}", data=body, headers=KEY, timeout=5).raise_for_status()
    (finding,) = [f for f in findings_of(at_stripe) if one["id"] in f.what]
    assert finding.fix.endswith(f"./billing stripe register{options}.")
    assert registration.plan(URL).action == "update"
