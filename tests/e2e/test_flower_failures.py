"""Flower with work that was given up: it is shown as failed, without a customer's data."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.console_window import let_die, redrive_all
from tests.e2e.running import Service

pytestmark = pytest.mark.browser


def test_what_was_given_up_is_among_the_failed_tasks(browser: Browser, console: Service) -> None:
    (payment,) = let_die(console, 1)
    page = browser.new_page()
    page.goto(f"{console.url('FLOWER_PORT')}/tasks?state=FAILURE")
    expect(page.get_by_text("FAILURE").first).to_be_visible()
    assert payment not in page.content()
    page.close()
    redrive_all(console)
    assert "Traceback" not in console.log.read_text()
