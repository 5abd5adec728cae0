"""Fixtures for all tests: a real Valkey, settings, and both kinds of store."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import fakeredis
import hypothesis
import pytest
import redis.utils
import structlog
from pydantic import BaseModel
from redis import Redis
from xdist.remote import Producer

from shared.settings import Settings
from shared.store import sources
from shared.store.connection import connect
from shared.store.scripts import Store
from tests import quick_lua
from tests.groups import ABOUT_HTTP, WholeGroups, group_of, place_of
from tests.servers import CLUSTER_MODE, valkey

SIGNING_SECRET = "whsec_testing_only_0123456789"
NOTIFICATION_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

quick_lua.install()
# redis-py reads its version from its package's files for each client and each connection.
redis.utils.get_lib_version = functools.cache(redis.utils.get_lib_version)
# The form of log lines before a process chooses one, with plain tracebacks.
PLAIN_LINES = [
    *structlog.get_config()["processors"][:-1],
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
]

# A slow example shows the machine's load; the suite's own limit of time ends a test that hangs.
hypothesis.settings.register_profile(
    "any load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# For a search for mutants: the same examples each time, and no smaller one for each that fails.
hypothesis.settings.register_profile(
    "mutation",
    hypothesis.settings.get_profile("any load"),
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("any load")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the groups of tests, so that those which take longest begin first.

    On a store in cluster mode only the tests that use it run: the others would do the same again.
    """
    if CLUSTER_MODE:
        others = [item for item in items if not uses_the_store(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    items.sort(key=lambda item: place_of(item.nodeid))


def pytest_runtest_setup() -> None:
    """Write tracebacks plainly: with rich installed, the default takes a twentieth of a second."""
    structlog.configure(processors=PLAIN_LINES)


def uses_the_store(item: pytest.Item) -> bool:
    """Say whether a test is about what the suite's Valkey holds."""
    if group_of(item.nodeid) in ABOUT_HTTP:
        return False
    names: list[str] = getattr(item, "fixturenames", [])
    values = item.callspec.params if hasattr(item, "callspec") else {}
    return "valkey_server" in names or values.get("store") == "valkey"


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist all tests run in one process
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WholeGroups:
    """Run the tests of a group in one process."""
    return WholeGroups(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage while tests are found, and exclude what stays to the end for good."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """Run a real Valkey for this test process."""
    with valkey() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_client(valkey_server: str) -> Iterator[Redis]:
    """Return a connection to the Valkey of this test process."""
    with Redis.from_url(valkey_server) as client:
        yield client


@pytest.fixture
def valkey_url(valkey_server: str, valkey_client: Redis) -> str:
    """Return an empty real Valkey."""
    valkey_client.flushall()
    return valkey_server


@pytest.fixture
def settings(valkey_url: str) -> Settings:
    """Return settings that reach the test's own Valkey only."""
    return make_settings(redis_url=valkey_url)


class _OfArguments(Settings):
    """Settings from arguments alone; to search the environment takes longer than all the rest."""

    def __init__(self, **values: object) -> None:
        BaseModel.__init__(self, **values)  # not that of `BaseSettings`, which searches


def make_settings(**overrides: object) -> Settings:
    """Build settings for a test; other names have their defaults, and nothing else is read."""
    defaults: dict[str, object] = {
        "stripe_secret_key": "sk_test_tests_0123456789",
        "stripe_webhook_secret": SIGNING_SECRET,
        "event_service_url": "http://127.0.0.1:9",
        "event_service_secret": NOTIFICATION_SECRET,
        "log_format": "text",
    }
    return _OfArguments(**(defaults | overrides))


@pytest.fixture
def real_store(settings: Settings) -> Iterator[Store]:
    """Return a store on the real server."""
    with store_on(settings) as store:
        yield store


@contextmanager
def store_on(settings: Settings) -> Iterator[Store]:
    """Open a store, and close its connections at the end of the block."""
    with connect(settings, "tests") as client:
        store = Store(client)
        yield store
        with suppress(IndexError):
            while True:  # a thread that still ends may take one, or give one back
                store._line._idle.pop().disconnect()


@pytest.fixture
def fake_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Return a store on fakeredis, without the line of script flags, which it does not know."""
    whole = sources.script_source
    monkeypatch.setattr(sources, "script_source", lambda name: whole(name).partition("\n")[2])
    with fakeredis.FakeStrictRedis(decode_responses=True, server=fakeredis.FakeServer()) as client:
        yield Store(client)


@pytest.fixture(params=["fakeredis", "valkey"])
def store(request: pytest.FixtureRequest) -> Store:
    """Return either store: every test with it runs on both, which shows that they agree."""
    name = "fake_store" if request.param == "fakeredis" else "real_store"
    chosen_store: Store = request.getfixturevalue(name)
    return chosen_store
