"""A browser window with the console, and calls of its tests to the service."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.e2e.running import Json, Service, service
from tests.servers import PATIENCE_SECONDS, wait_until

KEY = "operator-key-of-the-console-test"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
# Messages of the browser itself when a key is missing or nothing answers: no errors of the page.
LEAVE = """() => {
    [...document.querySelectorAll("button")].find((one) => one.textContent === "Sign out")?.click();
    sessionStorage.clear();
}"""
EXPECTED = re.compile(
    r"Failed to load resource: (the server responded with a status of 40[14]|net::)"
)


@contextmanager
def console_service(folder: Path) -> Iterator[Service]:
    """Run the whole service with an operator's key, where a failure makes a dead letter at once."""
    mortal = {"NOTIFICATION_MAX_AGE_SECONDS": "1", "REFUND_MAX_ATTEMPTS": "1"}
    settings = {"OPERATOR_KEYS": KEY, "LOG_LEVEL": "WARNING"} | mortal
    with service(folder, **settings) as records:
        yield records


@dataclass
class Window:
    """A window with the console; it records errors and requests to other hosts."""

    page: Page
    url: str
    addresses: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    expected: re.Pattern[str] = EXPECTED

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("console", self._on_message)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"a dialog: {dialog.message}"))

    def _on_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self.expected.match(message.text):
            self.wrong.append(message.text)

    def go(self, place: str = "#/") -> Page:
        """Open a place in the console by its address, which loads the page once, not each time."""
        self.page.goto(f"{self.url}/console{place}")
        return self.page

    def sign_in(self, place: str = "#/", key: str = KEY) -> Page:
        """Open a place and sign in."""
        self.go(place)
        self.page.get_by_label("Operator key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def leave(self) -> None:
        """Sign out; the page is then as a new one, whose load takes most of a test's computing."""
        self.page.unroute_all()
        if self.page.url.startswith(f"{self.url}/console"):
            self.page.evaluate(LEAVE)
            expect(self.page.get_by_label("Operator key")).to_be_visible()

    def check(self) -> None:
        """Fail if it had an error or a request to another host; then forget what it had."""
        addresses, wrong = self.addresses.copy(), self.wrong.copy()
        self.addresses.clear()
        self.wrong.clear()
        host = urlsplit(self.url).netloc
        assert [address for address in addresses if urlsplit(address).netloc != host] == []
        assert not [address for address in addresses if KEY in address]
        assert wrong == []


@contextmanager
def opened(browser: Browser, url: str, size: Any, **looks: Any) -> Iterator[Window]:
    """Open a window for the duration of the block."""
    context = browser.new_context(viewport=size, locale="en-GB", timezone_id="UTC", **looks)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    yield Window(context.new_page(), url)
    context.close()


def windows(browser: Browser, url: str, size: Any, **looks: Any) -> Iterator[Window]:
    """Open a window, and check it afterwards."""
    with opened(browser, url, size, **looks) as window:
        yield window
    window.check()


def visits(window: Window) -> Iterator[Window]:
    """Use a window that other tests have used, and check it afterwards."""
    window.leave()
    yield window
    window.check()


def ops(running: Service, path: str, **query: str) -> Json:
    """Send a GET to `/ops`, as the console does."""
    headers = {"Authorization": f"Bearer {KEY}"}
    records: Json = requests.get(
        f"{running.url()}/ops/{path}", params=query, headers=headers, timeout=10
    ).json()
    return records


def redrive_all(running: Service) -> None:
    """Redrive every dead notification."""
    headers = {"Authorization": f"Bearer {KEY}"}
    address = f"{running.url()}/ops/dead-letters/redrive"
    records = ops(running, "dead-letters", limit="1000")["data"]
    body = {"ids": [item["id"] for item in records if item["kind"] == "notifications"]}
    requests.post(address, json=body, headers=headers, timeout=10).raise_for_status()


def let_die(running: Service, count: int) -> list[str]:
    """Make the notifications of this many payments dead letters; then repair the event service.

    The payments are of a user of their own, so that no notification of an earlier test dies, too.
    """
    faults, user = f"{running.url('RECEIVER_PORT')}/_control/faults", uuid.uuid4().hex
    fault = {"status": 422, "match": {"type": "payment.succeeded", "user_id": user}}
    requests.post(faults, json=fault, timeout=5).raise_for_status()
    answers = [running.pay("pm_card_visa", metadata={"user_id": user}) for _ in range(count)]
    payments = [str(answer.json()["payment_intent_id"]) for answer in answers]

    def living() -> list[str]:
        return [
            payment
            for payment in payments
            if not ops(running, "dead-letters", kind="notifications", payment_id=payment)["data"]
        ]

    try:
        wait_until(lambda: not living(), "notifications to die")
    finally:
        requests.delete(faults, timeout=5).raise_for_status()
    return payments


def sell(running: Service, **fields: Any) -> str:
    """Take a payment, and wait for its notification."""
    payment: str = running.pay("pm_card_visa", **fields).json()["payment_intent_id"]
    running.notifications_of(payment, "payment.succeeded")
    return payment
