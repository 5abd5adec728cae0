"""The service in one process: API and worker functions on a real Valkey, the sandbox as Stripe."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from shared.settings import Settings
from shared.store.scripts import Store
from tests import servers
from tests.conftest import NOTIFICATION_SECRET, make_settings
from tests.integration.doors import close_doors, open_door
from tests.integration.hands import Hands
from tests.loopback import POOL, call
from tests.warm import WarmPython, warm_python
from worker.runtime import Runtime


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[str]:
    """Run the sandbox for this test process."""
    with servers.sandbox() as url:
        yield url


@pytest.fixture(scope="session")
def _controls() -> Iterator[None]:
    """Keep connections to the sandbox and the receiver as long as this process."""
    yield
    POOL.clear()


@pytest.fixture
def sandbox(sandbox_server: str, _controls: None) -> str:
    """Return an empty sandbox."""
    call("POST", f"{sandbox_server}/_sandbox/reset")
    return sandbox_server


@pytest.fixture(scope="session")
def python() -> Iterator[WarmPython]:
    """Return a Python that has imported the command line, and what commands import later."""
    modules = ("cli", "tests.built_commands", "doctor.examination", "doctor.registration")
    with warm_python(*modules) as warm:
        yield warm


@pytest.fixture(scope="session")
def receiver_server() -> Iterator[str]:
    """Run the receiver, which stands for the event service, for this test process."""
    with servers.receiver(EVENT_SERVICE_SECRET=NOTIFICATION_SECRET) as url:
        yield url


@pytest.fixture
def receiver(receiver_server: str, _controls: None) -> str:
    """Return the receiver, empty and without faults."""
    for path in ("notifications", "_control/faults"):
        call("DELETE", f"{receiver_server}/{path}")
    return receiver_server


@pytest.fixture
def settings(valkey_url: str, sandbox: str, receiver: str) -> Settings:
    """Return settings that reach the test's own Valkey, sandbox and receiver."""
    return make_settings(
        redis_url=valkey_url,
        stripe_secret_key=f"sk_test_tests_{secrets.token_hex(6)}",  # faults name it
        stripe_api_base=sandbox,
        event_service_url=receiver,
        retry_base_seconds=0.05,
        stripe_timeout_seconds=3,
    )


@pytest.fixture(autouse=True)
def _doors() -> Iterator[None]:
    """Stop every HTTP server that the test started."""
    yield
    close_doors()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for loopback, and its key."""
    certificate_file, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=loopback".split()
    name = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate_file)]
    subprocess.run(
        ["openssl", *options, *name, "-keyout", str(key)], check=True, capture_output=True
    )
    return certificate_file, key


@pytest.fixture
def client(settings: Settings, real_store: Store) -> FlaskClient:
    """Return a client that calls the API through its HTTP server."""
    return open_door(settings, real_store)


@pytest.fixture
def runtime(settings: Settings, real_store: Store) -> Iterator[Runtime]:
    """Build the runtime of a worker."""
    built = Runtime(settings, real_store)
    yield built
    built.event_service.close()


@pytest.fixture
def hands(client: FlaskClient, runtime: Runtime, sandbox: str, receiver: str) -> Hands:
    """Return what delivers Stripe's events, works like a worker and reads the notifications."""
    return Hands(client, runtime, sandbox, receiver)
