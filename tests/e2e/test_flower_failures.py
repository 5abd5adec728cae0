"""Flower with work that was given up: it is shown as failed, without a customer's data."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.e2e.console_window import let_die, redrive_all
from tests.e2e.running import Service
from tests.servers import wait_until

pytestmark = pytest.mark.browser


def test_what_was_given_up_is_among_the_failed_tasks(browser: Browser, console: Service) -> None:
    (payment,) = let_die(console, 1)
    page = browser.new_page()

    def is_shown() -> bool:
        """Load the page, which does not refresh itself; a task's end reaches Flower in a batch."""
        address = f"{console.url('FLOWER_PORT')}/tasks?state=FAILURE"
        page.goto(address, wait_until="networkidle")
        return page.get_by_text("FAILURE").count() > 0

    wait_until(is_shown, "a failed task at Flower")
    assert payment not in page.content()
    page.close()
    redrive_all(console)
    assert "Traceback" not in console.log.read_text()
