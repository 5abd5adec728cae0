"""Hosts: the API and Flower answer under known names only, so no page can reach them by its own."""

from __future__ import annotations

import base64
import http.client
import sys
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from shared.settings import Settings
from shared.store.scripts import Store
from tests import servers
from tests.conftest import NOTIFICATION_SECRET
from tests.integration.doors import open_door

FOREIGN = [
    "evil.example",
    "127.0.0.1.evil.example:5001",
    "localhost.evil.example",
    "192.0.2.1",
    "[",
]
OWN = ["localhost", "LOCALHOST:5001", "127.0.0.1:5001", "[::1]:5001"]
BODY = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}


@pytest.mark.parametrize("host", FOREIGN)
def test_a_page_by_a_name_of_its_own_can_neither_pay_nor_look(
    client: FlaskClient, host: str
) -> None:
    payment = client.post("/api/payment/process", json=BODY, headers={"Host": host})
    looked = client.get("/ops/events", headers={"Host": host})
    assert [answer.status_code for answer in (payment, looked)] in ([421, 421], [400, 400])
    assert "payment_intent_id" not in payment.get_data(as_text=True)


@pytest.mark.parametrize("host", OWN)
def test_this_machines_names_are_known(client: FlaskClient, host: str) -> None:
    assert client.get("/ops/events", headers={"Host": host}).status_code == 200


def test_a_platform_may_ask_for_health_at_any_address(client: FlaskClient) -> None:
    assert client.get("/health", headers={"Host": "192.0.2.1:5001"}).status_code == 200


def test_a_setting_adds_names(settings: Settings, real_store: Store) -> None:
    names = settings.model_copy(update={"allowed_hosts": ("pay.example",)})
    client = open_door(names, real_store)
    assert client.get("/ops/events", headers={"Host": "pay.example"}).status_code == 200
    assert client.get("/ops/events", headers={"Host": "evil.example"}).status_code == 421
    anyone = settings.model_copy(update={"allowed_hosts": ("*",)})
    client = open_door(anyone, real_store)
    assert client.get("/ops/events", headers={"Host": "evil.example"}).status_code == 200


@pytest.mark.parametrize("host", ["192.0.2.9", "2001:db8::9"])
def test_the_address_that_the_api_listens_at_is_known(
    settings: Settings, real_store: Store, host: str
) -> None:
    client = open_door(settings.model_copy(update={"host": host}), real_store)
    name = f"[{host}]" if ":" in host else host
    assert client.get("/ops/events", headers={"Host": f"{name}:5001"}).status_code == 200
    assert client.get("/ops/events", headers={"Host": "192.0.2.1:5001"}).status_code == 421


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # a setting
def test_the_address_for_all_addresses_is_no_name(
    settings: Settings, real_store: Store, host: str
) -> None:
    client = open_door(settings.model_copy(update={"host": host}), real_store)
    name = f"[{host}]" if ":" in host else host
    assert client.get("/ops/events", headers={"Host": name}).status_code == 421


def test_flower_answers_to_known_names_only(valkey_url: str) -> None:
    port = servers.free_port()
    environment = {
        "STRIPE_SECRET_KEY": "sk_test_hosts",
        "STRIPE_WEBHOOK_SECRET": "whsec_hosts",
        "EVENT_SERVICE_URL": "http://127.0.0.1:1",
        "EVENT_SERVICE_SECRET": NOTIFICATION_SECRET,
        "REDIS_URL": valkey_url,
        "ALLOWED_HOSTS": "flower.example",
        "FLOWER_BASIC_AUTH": "operator:secret",
    }
    address = ("--address=127.0.0.1", f"--port={port}")
    with servers.process(sys.executable, "-m", "worker.flower", *address, environment=environment):
        url = f"http://127.0.0.1:{port}"
        servers.wait_until(lambda: status(url, "127.0.0.1"), "Flower answers")
        assert status(url, "localhost") == 200
        assert status(url, "flower.example") == 200
        assert status(url, "evil.example") == 421
        assert status(url, "evil.example", "/healthcheck") == 200


def status(url: str, host: str, path: str = "/workers") -> int | None:
    """Return the status of a GET under a name; None while nothing answers."""
    login = base64.b64encode(b"operator:secret").decode()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host, "Authorization": f"Basic {login}"})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
