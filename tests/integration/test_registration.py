"""`./billing stripe register` creates or repairs the endpoint at Stripe, or leaves it unchanged."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from doctor.registration import webhook_url
from shared.errors import CallerError
from shared.stripe.gateway import API_VERSION
from tests.integration.test_doctor import KEY, no_endpoint_is_left, register_endpoint
from tests.warm import WarmPython
from worker.lost_events import GENERATION_FAILURE
from worker.registry import handled_types, thin_types

__all__ = ["no_endpoint_is_left"]
Json = dict[str, Any]
ADDRESS = "https://billing.example"
URL = ADDRESS + "/api/webhook"


class Billing:
    """Run `./billing stripe register` with the Stripe key only."""

    def __init__(self, sandbox: str, python: WarmPython) -> None:
        self._python = python
        self._environment = {
            "STRIPE_SECRET_KEY": "rk_test_tests_0123456789",
            "STRIPE_API_BASE": sandbox,
            "BILLING_ENV_FILE": "",
            "PATH": os.environ["PATH"],
        }

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self._environment | variables
        return self._python.run(
            "-m", "cli", "stripe", "register", *arguments, environment=environment
        )


@pytest.fixture
def billing(sandbox: str, python: WarmPython) -> Billing:
    return Billing(sandbox, python)


def endpoints(sandbox: str) -> list[Json]:
    """List the registered endpoints, oldest first."""
    answer = requests.get(f"{sandbox}/v1/webhook_endpoints", headers=KEY, timeout=5)
    return list(reversed(answer.json()["data"]))


def change(sandbox: str, **fields: Any) -> None:
    """Change the endpoint as a person would in the dashboard."""
    (endpoint,) = endpoints(sandbox)
    address = f"{sandbox}/v1/webhook_endpoints/{endpoint['id']}"
    requests.post(address, data=fields, headers=KEY, timeout=5).raise_for_status()


@pytest.fixture
def registered(sandbox: str, billing: Billing) -> Json:
    """Register once; return the command's output as JSON."""
    process = billing(ADDRESS, "--yes", "--json")
    assert process.returncode == 0, process.stderr
    result: Json = json.loads(process.stdout)
    return result


def test_an_endpoint_is_made_with_the_exact_types_and_version(
    sandbox: str, registered: Json
) -> None:
    (endpoint,) = endpoints(sandbox)
    assert (endpoint["url"], endpoint["api_version"]) == (URL, API_VERSION)
    assert sorted(endpoint["enabled_events"]) == sorted(handled_types())
    assert registered["endpoint_id"] == endpoint["id"]
    assert registered["secret"].startswith("whsec_")


def test_the_secret_is_printed_once_and_never_again(sandbox: str, billing: Billing) -> None:
    first = billing(ADDRESS, "--yes")
    (secret,) = [line for line in first.stdout.splitlines() if "whsec_" in line]
    assert secret.startswith("STRIPE_WEBHOOK_SECRET=whsec_")
    assert "if there are other endpoints, add it to their secrets" in first.stdout
    again = billing(ADDRESS, "--yes")
    assert again.returncode == 0
    assert "needs no change" in again.stdout
    assert "whsec_" not in again.stdout + again.stderr
    assert len(endpoints(sandbox)) == 1


def test_a_dry_run_and_a_no_change_nothing(sandbox: str, billing: Billing) -> None:
    dry = billing(ADDRESS, "--dry-run")
    assert (dry.returncode, "create an endpoint" in dry.stdout) == (0, True)
    assert API_VERSION in dry.stdout
    unconfirmed = billing(ADDRESS)
    assert (unconfirmed.returncode, "--yes" in unconfirmed.stderr) == (4, True)
    assert endpoints(sandbox) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"url": URL + "/"}, "change its address"),
        ({"disabled": "true"}, "enable it; it is disabled"),
        ({"enabled_events[]": "payment_intent.succeeded"}, "add charge.dispute.created"),
        ({"enabled_events[]": ["customer.created", *handled_types()]}, "remove customer.created"),
        ({"enabled_events[]": "*"}, "remove *"),
    ],
)
def test_what_is_wrong_with_it_is_repaired(
    sandbox: str, registered: Json, damage: Json, words: str, billing: Billing
) -> None:
    before = endpoints(sandbox)
    change(sandbox, **damage)
    assert endpoints(sandbox) != before
    dry = billing(ADDRESS, "--dry-run")
    assert words in dry.stdout
    assert "Next:" not in dry.stdout
    assert endpoints(sandbox) != before
    result = billing(ADDRESS + "/api/webhook/", "--yes")
    assert (result.returncode, words in result.stdout) == (0, True)
    assert "Next:" in result.stdout
    assert endpoints(sandbox) == before
    assert "whsec_" not in result.stdout


@pytest.mark.parametrize("version", [{"api_version": "2024-06-20"}, {}])
def test_another_version_is_said_and_a_second_endpoint_is_made(
    sandbox: str, version: Json, billing: Billing
) -> None:
    register_endpoint(sandbox, url=URL, **version)
    (old,) = endpoints(sandbox)
    result = billing(ADDRESS, "--yes")
    assert f"{old['id']} has this address with API version" in result.stdout
    assert "Stripe cannot change" in result.stdout
    assert "STRIPE_WEBHOOK_SECRET=whsec_" in result.stdout
    both = endpoints(sandbox)
    assert both[0] == old
    assert [one["api_version"] for one in both[1:]] == [API_VERSION]
    again = billing(ADDRESS, "--yes")
    assert "needs no change" in again.stdout
    assert len(endpoints(sandbox)) == 2


def test_an_endpoint_of_somebody_else_is_left_alone(sandbox: str, billing: Billing) -> None:
    register_endpoint(sandbox, url="https://shop.example/api/webhook")
    billing(ADDRESS, "--yes")
    assert [one["url"] for one in endpoints(sandbox)] == ["https://shop.example/api/webhook", URL]


def test_refusals_say_why_and_have_their_status(sandbox: str, billing: Billing) -> None:
    assert billing("billing.example", "--yes").returncode == 1
    assert "wrong_path" in billing(ADDRESS + "/webhooks", "--yes").stderr
    away = billing(ADDRESS, "--yes", STRIPE_API_BASE="http://127.0.0.1:9")
    assert (away.returncode, "stripe_unreachable" in away.stderr) == (3, True)
    match = {"method": "POST", "path_prefix": "/v1/webhook_endpoints"}
    fault = {"match": match, "kind": "error", "status": 403, "times": 1}
    requests.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=5).raise_for_status()
    refusal = billing(ADDRESS, "--yes")
    assert (refusal.returncode, "stripe_permission_missing" in refusal.stderr) == (1, True)
    assert "STRIPE_SECRET_KEY" in billing(ADDRESS, STRIPE_SECRET_KEY="").stderr


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://billing.example", URL),
        ("https://billing.example/", URL),
        ("https://billing.example/api/webhook/", URL),
        (
            "https://x.example:8443/billing/api/webhook",
            "https://x.example:8443/billing/api/webhook",
        ),
    ],
)
def test_an_address_is_completed(address: str, url: str) -> None:
    assert webhook_url(address, livemode=True) == url


@pytest.mark.parametrize(
    "address", ["http://billing.example", "https://", "ftp://x", "https://x?a=1"]
)
def test_a_live_endpoint_has_an_https_address(address: str) -> None:
    with pytest.raises(CallerError):
        webhook_url(address, livemode=True)


# Destinations of thin events, and endpoints for connected accounts.


def destinations(sandbox: str) -> list[Json]:
    """List the event destinations with their addresses, oldest first."""
    address = f"{sandbox}/v2/core/event_destinations?include[0]=webhook_endpoint.url"
    return list(reversed(requests.get(address, headers=KEY, timeout=5).json()["data"]))


@pytest.fixture(autouse=True)
def no_destination_is_left(sandbox: str) -> Iterator[None]:
    yield
    for one in destinations(sandbox):
        address = f"{sandbox}/v2/core/event_destinations/{one['id']}"
        requests.delete(address, headers=KEY, timeout=5).raise_for_status()


@pytest.mark.parametrize(
    ("options", "source"), [(["--thin"], "@self"), (["--thin", "--connect"], "@accounts")]
)
def test_a_thin_destination_is_made_once_and_its_secret_printed(
    sandbox: str, options: list[str], source: str, billing: Billing
) -> None:
    dry = billing(ADDRESS, *options, "--dry-run")
    assert (dry.returncode, "create a destination of thin events" in dry.stdout) == (0, True)
    assert destinations(sandbox) == []
    process = billing(ADDRESS, *options, "--yes", "--json")
    result = json.loads(process.stdout)
    (one,) = destinations(sandbox)
    assert (one["id"], one["event_payload"]) == (result["endpoint_id"], "thin")
    assert (one["events_from"], one["webhook_endpoint"]["url"]) == ([source], URL)
    assert sorted(one["enabled_events"]) == sorted(thin_types())
    address = f"{sandbox}/v2/core/event_destinations/{one['id']}"
    answer = requests.get(
        f"{address}?include[0]=webhook_endpoint.signing_secret", headers=KEY, timeout=5
    )
    assert result["secret"].startswith("whsec_")
    assert answer.json()["webhook_endpoint"]["signing_secret"] == result["secret"]
    again = billing(ADDRESS, *options, "--yes")
    assert "needs no change" in again.stdout
    assert len(destinations(sandbox)) == 1
    assert endpoints(sandbox) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"webhook_endpoint": {"url": URL + "/"}}, "change its address"),
        ({"enabled_events": ["v1.charge.refunded"]}, "add charge.dispute.created"),
        ({"enabled_events": ["*"]}, f"add {GENERATION_FAILURE}"),
        ("disable", "enable it; it is disabled"),
    ],
)
def test_a_thin_destination_is_repaired(
    sandbox: str, damage: Json | str, words: str, billing: Billing
) -> None:
    billing(ADDRESS, "--thin", "--yes")
    (before,) = destinations(sandbox)
    address = f"{sandbox}/v2/core/event_destinations/{before['id']}"
    if isinstance(damage, str):
        requests.post(f"{address}/{damage}", headers=KEY, timeout=5).raise_for_status()
    else:
        requests.post(address, json=damage, headers=KEY, timeout=5).raise_for_status()
    dry = billing(ADDRESS, "--thin", "--dry-run")
    assert words in dry.stdout
    result = billing(ADDRESS, "--thin", "--yes")
    assert (result.returncode, words in result.stdout) == (0, True)
    (after,) = destinations(sandbox)
    unchanging = ("id", "status", "webhook_endpoint", "events_from")
    assert [after[name] for name in unchanging] == [before[name] for name in unchanging]
    assert sorted(after["enabled_events"]) == sorted(before["enabled_events"])


def test_an_endpoint_of_connected_accounts_is_another_than_our_own(
    sandbox: str, registered: Json, billing: Billing
) -> None:
    result = billing(ADDRESS, "--connect", "--yes")
    assert "create an endpoint for connected accounts" in result.stdout
    assert "STRIPE_WEBHOOK_SECRET=whsec_" in result.stdout
    own, connected = endpoints(sandbox)
    assert (own["application"], own["id"]) == (None, registered["endpoint_id"])
    assert connected["application"]
    for options in ([], ["--connect"]):
        assert "needs no change" in billing(ADDRESS, *options, "--yes").stdout
    assert len(endpoints(sandbox)) == 2
    address = f"{sandbox}/v1/webhook_endpoints/{connected['id']}"
    requests.post(address, data={"disabled": "true"}, headers=KEY, timeout=5).raise_for_status()
    assert "needs no change" in billing(ADDRESS, "--yes").stdout
    assert connected["id"] in billing(ADDRESS, "--connect", "--yes").stdout
    assert [one["status"] for one in endpoints(sandbox)] == ["enabled", "enabled"]
