"""All secrets are rotated as docs/runbook.md says, while customers pay: no request fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import servers
from tests.conftest import SIGNING_SECRET
from tests.e2e.parts import Parts, billing
from tests.e2e.shopping import Shopping
from tests.e2e.test_proxy import Apis, Proxy, make_certificate, nginx
from tests.e2e.test_proxy import pytestmark as pytestmark  # noqa: PLC0414 - skipped likewise
from tests.servers import free_ports, wait_until

NEW_SIGNING = "whsec_the_new_secret_of_the_endpoint_0123456789"
OLD_SECRET = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk"
NEW_SECRET = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"
OLD_KEY, NEW_KEY = "old-key-of-the-shop-0123456789", "new-key-of-the-shop-0123456789"
OLD = {
    "STRIPE_WEBHOOK_SECRET": SIGNING_SECRET,
    "EVENT_SERVICE_SECRET": OLD_SECRET,
    "API_KEYS": f"shop:{OLD_KEY}",
    "OPERATOR_KEYS": "kim:old-key-of-kim-0123456789",
}
NEW = {
    "STRIPE_WEBHOOK_SECRET": NEW_SIGNING,
    "EVENT_SERVICE_SECRET": NEW_SECRET,
    "API_KEYS": f"shop:{NEW_KEY}",
    "OPERATOR_KEYS": "kim:new-key-of-kim-0123456789",
}
BOTH = {name: f"{NEW[name]},{OLD[name]}" for name in NEW}
STRIPE = {"Authorization": "Bearer sk_test_tests_0123456789"}


class Rotation:
    """The running service, restarted process by process with changed settings."""

    def __init__(self, parts: Parts, apis: Apis, ports: tuple[int, int], proxy: Proxy) -> None:
        self._parts, self._apis, self._ports, self._proxy = parts, apis, ports, proxy

    def set(self, settings: dict[str, str]) -> None:
        """Restart API after API behind the proxy, then the worker, with these settings."""
        self._parts.environment |= settings
        for port in self._ports:
            self._proxy.take_out(port)
            self._apis.replace(port)
            self._proxy.put_back(port)
        self._parts.processes["worker"].terminate()
        self._parts.processes["worker"].wait(40)
        self._parts.start("worker", "worker")


def move_endpoint(parts: Parts, url: str) -> str:
    """Have Stripe send its events through the proxy; give the id of the endpoint."""
    listing = requests.get(f"{parts.stripe}/v1/webhook_endpoints", headers=STRIPE, timeout=5)
    endpoint = str(listing.json()["data"][0]["id"])
    address = f"{parts.stripe}/v1/webhook_endpoints/{endpoint}"
    body = {"url": f"{url}/api/webhook"}
    requests.post(address, data=body, headers=STRIPE, timeout=5).raise_for_status()
    return endpoint


def received(url: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = requests.get(f"{url}/notifications", timeout=5).json()["data"]
    return items


@contextmanager
def event_service(folder: Path, port: int, secret: str) -> Iterator[None]:
    """Run the event service with a secret; a later one continues the list of an earlier one."""
    state = {"RECEIVER_PORT": str(port), "RECEIVER_STATE": str(folder / "heard.jsonl")}
    with servers.receiver(EVENT_SERVICE_SECRET=secret, **state):
        yield


def roll(parts: Parts, endpoint: str) -> None:
    address = f"{parts.stripe}/_sandbox/webhook_endpoints/{endpoint}/rotate"
    requests.post(address, json={"secret": NEW_SIGNING}, timeout=5).raise_for_status()


@pytest.mark.slow
@pytest.mark.nightly
def test_every_secret_is_rotated_without_a_failed_request(
    valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(make_certificate(tmp_path), monkeypatch)
    first, second, outside, hearing = free_ports(4)
    address = f"http://127.0.0.1:{hearing}"
    with ExitStack() as stack:
        earlier = stack.enter_context(ExitStack())
        earlier.enter_context(event_service(tmp_path, hearing, OLD_SECRET))
        old = OLD | {"EVENT_SERVICE_URL": address}
        parts = stack.enter_context(billing(tmp_path, valkey_url, **old))
        apis = Apis(parts, (first, second), stack)
        proxied = stack.enter_context(nginx(tmp_path, outside, (first, second)))
        endpoint = move_endpoint(parts, proxied.url)
        rotation = Rotation(parts, apis, (first, second), proxied)
        with Shopping(proxied.url, OLD_KEY) as shopping:
            shopping.go_on(3)
            rotation.set(BOTH)
            wait_until(lambda: signed_by(address) >= {2}, "notifications have both signatures")
            shopping.key = NEW_KEY
            roll(parts, endpoint)
            earlier.close()
            stack.enter_context(event_service(tmp_path, hearing, NEW_SECRET))
            shopping.go_on(3)
            rotation.set(NEW)
            count = len(received(address))
            shopping.go_on(3)
        assert set(shopping.answers) == {200}, shopping.answers
        wait_until(lambda: len(received(address)) > count + 3, "the new secret signs")
        assert {item["signature"] for item in received(address)} == {"valid"}
        assert status_of(proxied.url, "payment/pi_unknown", OLD_KEY) == 401
    assert set(webhook_statuses(tmp_path)) == {"200"}


def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all processes trust a certificate: the sandbox sends events over TLS, too."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def webhook_statuses(folder: Path) -> list[str]:
    """List how the APIs behind the proxy answered Stripe."""
    logs = "".join(path.read_text() for path in folder.glob("api-*.log"))
    return re.findall(r'"route":"/api/webhook","status":(\d+)', logs)


def signed_by(event_service_url: str) -> set[int]:
    """Return the numbers of signatures that the notifications had."""
    headers = [item["headers"]["webhook-signature"] for item in received(event_service_url)]
    return {signature.count("v1,") for signature in headers}


def status_of(url: str, path: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(f"{url}/api/{path}", headers=headers, timeout=5).status_code
