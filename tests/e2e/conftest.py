"""A real browser for tests that act as a person, and app.py with stand-ins for its processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.attacks import API_KEY, OPERATOR_KEY
from tests.e2e.console_window import (
    DESKTOP,
    PHONE,
    Window,
    console_service,
    opened,
    visits,
)
from tests.e2e.running import Service, service
from tests.e2e.stand_ins import STAND_IN, Run, different_ports
from tests.groups import group_of
from tests.servers import PATIENCE_SECONDS, ROOT
from tests.warm import WarmPython, warm_python

T = TypeVar("T")
# What `app.py --sandbox` imports besides its own modules.
PACKAGES = ("argparse", "ctypes", "dotenv", "pydantic_settings", "queue", "shlex", "tempfile")
# The first takes a third of the others' computing: it has no user interface that nobody sees.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Seconds for a page on a busy machine; a quiet one needs a tenth of a second.
expect.set_options(timeout=PATIENCE_SECONDS * 1000)


# What a group of tests shares; it ends behind the last of them, for idle processes compute, too.
_of_the_group = ExitStack()
_running: dict[str, Any] = {}


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the services of a group when the next test is of another."""
    if nextitem is None or group_of(nextitem.nodeid) != group_of(item.nodeid):
        _stop_all()


def pytest_sessionfinish() -> None:
    """Stop the services of a group after an interruption."""
    _stop_all()


def _stop_all() -> None:
    _running.clear()
    _of_the_group.close()


def _shared(name: str, start: Callable[[], AbstractContextManager[T]]) -> T:
    """Start this for the first test of a group that needs it; return what is running."""
    if name not in _running:
        _running[name] = _of_the_group.enter_context(start())
    running: T = _running[name]
    return running


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Run the whole service as `make run` does, for all tests without other requirements."""
    return _shared("open", lambda: service(tmp_path_factory.mktemp("service")))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Run the whole service for the console's tests, each of which leaves no dead letter."""
    return _shared("console", lambda: console_service(tmp_path_factory.mktemp("console")))


@pytest.fixture(scope="module")
def guarded_service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Run the whole service with keys at both doors, and have it log all that it can."""
    keys = {"API_KEYS": API_KEY, "OPERATOR_KEYS": OPERATOR_KEY, "LOG_LEVEL": "DEBUG"}
    return _shared("guarded", lambda: service(tmp_path_factory.mktemp("guarded"), **keys))


@pytest.fixture(scope="module")
def browser() -> Browser:
    """Start Chromium for a group of tests; later its event loop would disturb others."""
    path = next((path for path in map(shutil.which, NAMES) if path), None)
    if path is None:
        pytest.skip("no Chromium on this machine; bin/browser installs one on Debian")
    return _shared("browser", lambda: _chromium(path))


@contextmanager
def _chromium(path: str) -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def window(browser: Browser, console: Service) -> Iterator[Window]:
    """Return the group's window with the console, where nobody is signed in."""
    make = partial(opened, browser, console.url(), DESKTOP)
    yield from visits(_shared("window", make))


@pytest.fixture
def phone(browser: Browser, console: Service) -> Iterator[Window]:
    """Return the group's phone with the console, where nobody is signed in."""
    make = partial(opened, browser, console.url(), PHONE, color_scheme="dark")
    yield from visits(_shared("phone", make))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a window without JavaScript; fail if it sent a request outside this machine."""
    size = {"width": 1280, "height": 900}
    context = browser.new_context(java_script_enabled=False, viewport=size)
    window = context.new_page()
    requests_made: list[str] = []
    window.on("request", lambda request: requests_made.append(request.url))
    yield window
    context.close()
    strangers = [address for address in requests_made if urlsplit(address).hostname != "127.0.0.1"]
    assert strangers == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "app.py", tmp_path)
    for package in ("local", "shared"):
        shutil.copytree(ROOT / package, tmp_path / package)  # compiled files, too
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    (tmp_path / "Procfile").write_text(
        "api: python stand_in.py api PORT\n"
        "worker: python stand_in.py worker\n"
        "flower: python stand_in.py flower FLOWER_PORT\n"
    )
    (tmp_path / "Procfile.sandbox").write_text(
        "sandbox: python stand_in.py sandbox SANDBOX_PORT\n"
        "receiver: python stand_in.py receiver RECEIVER_PORT\n"
    )
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return inherited | different_ports()


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmPython]:
    """Run a Python that has imported what app.py imports, and costs nothing while it waits."""
    with warm_python(*PACKAGES) as python:
        yield python


@pytest.fixture
def start(folder, environment, warm):
    """Start app.py, with `cold=True` by a Python of its own."""
    runs = []

    def _start(*arguments: str, cold: bool = False, **changes: str) -> Run:
        run = Run(folder, environment | changes, *arguments, python=None if cold else warm)
        runs.append(run)
        return run

    yield _start
    for run in runs:
        run.end()
