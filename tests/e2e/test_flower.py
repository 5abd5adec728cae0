"""Flower in a real browser: the worker, its tasks by id, and no data of a customer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.running import Service, service
from tests.servers import wait_until

pytestmark = pytest.mark.browser
# Flower orders task events every five seconds, beginning five seconds after its start.
TWO_ORDERS_SECONDS = 10
# Between payments: the sandbox allows 25 a second, as Stripe does.
PAUSE_SECONDS = 0.2
EMAIL = "somebody-private@example.com"


def test_flower_shows_workers_and_tasks_but_no_customer(
    browser: Browser, open_service: Service
) -> None:
    running = open_service
    payment = running.pay("pm_card_visa", customer_email=EMAIL).json()["payment_intent_id"]
    (notification,) = running.notifications_of(payment, "payment.succeeded")
    page = browser.new_page()
    page.goto(f"{running.url('FLOWER_PORT')}/workers")
    for role in ("worker", "notifications"):
        row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=f"{role}-"))
        expect(row.get_by_text("Online")).to_be_visible()

    tasks = f"{running.url('FLOWER_PORT')}/tasks"
    page.goto(tasks)
    expect(page.get_by_text("billing.deliver").first).to_be_visible()
    texts = [page.content()]
    wait_until(lambda: is_listed(page, tasks, notification["id"]), "Flower lists the delivery")
    texts.append(page.content())
    for text in texts:
        assert EMAIL not in text
        assert payment not in text
    page.get_by_text(notification["id"]).first.click()
    expect(page.get_by_text("SUCCESS").first).to_be_visible()
    assert EMAIL not in page.content()
    page.close()


def is_listed(page: Page, tasks: str, task: str) -> bool:
    """Search for a task, which other tests' tasks may have moved to a later page."""
    page.goto(tasks)
    page.get_by_role("searchbox").fill(task)
    page.wait_for_load_state("networkidle")
    return page.get_by_text(task).count() > 0


@pytest.mark.long
def test_without_task_events_flower_shows_workers_and_orders_no_events(
    browser: Browser, tmp_path: Path
) -> None:
    with service(tmp_path, TASK_EVENTS="False") as running:
        page = browser.new_page()
        page.goto(f"{running.url('FLOWER_PORT')}/workers")
        for role in ("worker", "notifications"):
            row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=f"{role}-"))
            expect(row.get_by_text("Online")).to_be_visible()
        until = time.monotonic() + TWO_ORDERS_SECONDS
        while time.monotonic() < until:
            payment = running.pay("pm_card_visa").json()["payment_intent_id"]
            running.notifications_of(payment, "payment.succeeded")
            time.sleep(PAUSE_SECONDS)
        page.goto(f"{running.url('FLOWER_PORT')}/tasks", wait_until="networkidle")
        expect(page.get_by_text("No tasks have been received.")).to_be_visible()
        page.close()
