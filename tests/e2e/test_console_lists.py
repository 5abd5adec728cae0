"""The console's lists: an operator searches, exports and redrives."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.e2e.console_window import (
    KEY,
    Window,
    let_die,
    ops,
    redrive_all,
    sell,
)
from tests.e2e.running import Service
from tests.servers import wait_until

pytestmark = pytest.mark.browser
EVENT = "concert-7"
GUEST = "kim@example.com"


@pytest.fixture(scope="module")
def running(console: Service) -> Service:
    return console


@pytest.fixture(scope="module")
def payment(running: Service) -> str:
    """Take one payment of a known guest for a known event."""
    metadata = {"event_id": EVENT, "order_id": "A-4711"}
    return sell(running, amount=4200, currency="sgd", metadata=metadata, customer_email=GUEST)


@pytest.fixture
def dead(running: Service) -> Iterator[list[str]]:
    """Make three notifications dead letters; then repair the event service."""
    yield let_die(running, 3)
    redrive_all(running)


def look_up(page: Page, text: str) -> None:
    page.get_by_label("Find by id").fill(text)
    page.keyboard.press("Enter")


def refund(running: Service, payment: str, amount: int) -> str:
    body = {"payment_intent_id": payment, "amount": amount, "reason": "duplicate"}
    headers = {"Prefer": "wait=20"}
    address = f"{running.url()}/api/refund/process"
    answer = requests.post(address, json=body, headers=headers, timeout=30)
    job: str = answer.json()["refund_request_id"]
    return job


def test_payments_are_narrowed_and_each_leads_to_its_story(
    window: Window, running: Service, payment: str
) -> None:
    sell(running)
    page = window.sign_in("#/payments")
    expect(page.get_by_role("row")).not_to_have_count(2)
    page.get_by_label("Event (event_id)").fill(EVENT)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("row")).to_have_count(2)
    row = page.get_by_role("row").nth(1)
    for text in ("42.00 SGD", "succeeded", GUEST, EVENT, payment):
        expect(row).to_contain_text(text)
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="42.00 SGD")).to_be_visible()
    at_stripe = page.get_by_role("link", name="In the sandbox")
    assert at_stripe.get_attribute("href") == f"{running.url('SANDBOX_PORT')}/payments/{payment}"
    assert at_stripe.get_attribute("rel") == "noopener noreferrer"


def test_payments_go_on_on_the_next_page(window: Window, running: Service) -> None:
    while len(ops(running, "payments", limit="60")["data"]) < 52:
        running.pay("pm_card_visa")
    page = window.sign_in("#/payments")
    ids = page.locator("td small.id")
    expect(ids).to_have_count(50)
    first = ids.all_inner_texts()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    expect(page.get_by_text(first[0])).to_have_count(0)
    assert not set(first) & set(ids.all_inner_texts())


def test_a_payment_is_found_by_what_a_person_has_in_hand(
    window: Window, running: Service, payment: str
) -> None:
    details = ops(running, f"payments/{payment}")
    request_id = next(
        e["request_id"] for e in details["timeline"] if e["kind"] == "payment_requested"
    )
    texts = (
        next(name for name in details["known"]["subjects"] if name.startswith("ch_")),
        f"https://dashboard.stripe.com/acct_1/test/payments/{payment}?tab=x",
        GUEST.upper(),
        "A-4711",
        request_id,
    )
    page = window.sign_in()
    for text in texts:
        window.go()
        look_up(page, text)
        expect(page.get_by_role("heading", name="42.00 SGD"), text).to_be_visible()
        assert page.url.endswith(f"#/payments/{payment}"), text


def test_what_is_nowhere_is_said_to_be_nowhere(window: Window, payment: str) -> None:
    page = window.sign_in()
    look_up(page, "du_1NoSuchDispute")
    expect(page.get_by_text("Nothing found")).to_be_visible()


def test_refunds_are_listed_with_amount_state_and_reason(
    window: Window, running: Service, payment: str
) -> None:
    refund(running, payment, 300)
    refund(running, payment, 9_999_999)
    page = window.sign_in(f"#/refunds?payment_id={payment}")
    refunded = page.get_by_role("row").filter(has_text="3.00 SGD")
    expect(refunded).to_contain_text("refunded")
    expect(refunded).to_contain_text("Duplicate")
    page.get_by_label("Status").select_option("failed")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("row").nth(1)).to_contain_text("99,999.99 SGD")
    expect(page.get_by_role("row").nth(1)).to_contain_text("stripe_refused")


def test_a_test_notification_is_sent_marked_and_its_answer_shown(
    window: Window, running: Service
) -> None:
    page = window.sign_in("#/notifications")
    page.get_by_role("button", name="Send a test").click()
    page.get_by_label("Your name").fill("kim")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="test.notification")).to_be_visible()
    expect(page.get_by_text("Attempt 1: delivered")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("answered 200")).to_be_visible()
    notifications = [n for n in running.notifications() if n["type"] == "test.notification"]
    assert [n["signature"] for n in notifications] == ["valid"]
    assert notifications[0]["body"]["data"]["metadata"] == {"test": "true"}
    page.get_by_role("navigation").get_by_role("link", name="Notifications").click()
    # Not by its place: the fees of an earlier test's payment are told seconds later, above it.
    row = page.get_by_role("row").filter(has_text="test.notification")
    expect(row).to_contain_text("delivered")
    page.get_by_role("navigation").get_by_role("link", name="Audit").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("test notification")


def test_each_attempt_at_a_notification_shows_what_the_event_service_answered(
    window: Window, running: Service, dead: list[str]
) -> None:
    letter = ops(running, "dead-letters", payment_id=dead[0])["data"][0]["id"]
    page = window.sign_in(f"#/items/{letter}")
    expect(page.get_by_text(re.compile("Attempt 1: ")).first).to_be_visible()
    expect(page.locator(".timeline").get_by_text("answered 422").first).to_be_visible()
    assert page.locator(".timeline time").first.get_attribute("title").count("UTC") == 1


def test_a_notification_behind_another_says_what_it_waits_for(
    window: Window, running: Service
) -> None:
    sell(running)

    def put_behind(route: Route) -> None:
        answer = route.fetch()
        listing = answer.json()
        waiting = listing["data"][0] | {"state": "waiting", "next_attempt_at": None}
        start = waiting | {"next_attempt_at": "2026-11-26T10:00:00Z"}
        listing["data"] = [waiting, start]
        route.fulfill(response=answer, json=listing)

    window.page.route("**/ops/notifications*", put_behind)
    page = window.sign_in("#/notifications")
    reason = "for an earlier notification of this payment"
    expect(page.get_by_role("row").nth(1)).to_contain_text(reason)
    expect(page.get_by_role("row").nth(2)).not_to_contain_text(reason)
    expect(page.get_by_role("row").nth(2)).to_contain_text("next attempt")


def test_a_list_is_taken_away_as_a_file_that_no_spreadsheet_runs(
    window: Window, running: Service
) -> None:
    formula = "=HYPERLINK(1)"
    sell(running, metadata={"event_id": formula})
    page = window.sign_in("#/payments")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    payments = ops(running, "payments", limit="1000")["data"]
    assert [row["payment_id"] for row in rows] == [row["payment_id"] for row in payments]
    assert f"'{formula}" in [row["event_id"] for row in rows]
    assert formula not in [row["event_id"] for row in rows]
    assert {row["amount"] for row in rows} >= {"1000"}
    expect(page.get_by_text(re.compile("payments? exported"))).to_be_visible()


def asked_for(window: Window, running: Service) -> list[Any]:
    """Record the ids of each redrive that the page requests."""
    rows: list[Any] = []

    def note(request: Any) -> None:
        if request.url.endswith("/ops/dead-letters/redrive") and request.method == "POST":
            rows.append(request.post_data_json)

    window.page.on("request", note)
    return rows


def test_what_is_typed_and_not_searched_for_redrives_nothing(
    window: Window, dead: list[str]
) -> None:
    page = window.sign_in("#/dead-letters")
    expect(page.get_by_role("row")).to_have_count(4)
    every = page.get_by_role("button", name="Redrive all that match")
    page.get_by_label("Payment", exact=True).fill(dead[0])
    expect(every).to_be_disabled()
    page.get_by_label("Payment", exact=True).fill("")
    expect(every).to_be_enabled()
    page.get_by_label("Payment", exact=True).fill(dead[0])
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("row")).to_have_count(2)
    every.click()
    expect(page.get_by_role("dialog")).to_contain_text("Redrive 1 dead letter?")
    expect(page.get_by_role("dialog")).to_contain_text(dead[0])
    page.keyboard.press("Escape")


def test_the_ids_that_were_shown_are_redriven_and_none_that_died_meanwhile(
    window: Window, running: Service, dead: list[str]
) -> None:
    bodies = asked_for(window, running)
    page = window.sign_in("#/dead-letters")
    page.get_by_role("button", name="Redrive all that match").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Their ids", exact=True).click()
    text = dialog.locator("pre").inner_text().split()
    assert len(text) == 3
    (late,) = let_die(running, 1)
    dialog.get_by_role("button", name="Redrive 3").click()
    expect(page.get_by_text("3 dead letters redriven")).to_be_visible()
    assert [body["ids"] for body in bodies if not body.get("dry_run")] == [text]
    left = ops(running, "dead-letters")["data"]
    assert [item["payment_id"] for item in left] == [late]


def test_chosen_letters_and_no_others_are_redriven(
    window: Window, running: Service, dead: list[str]
) -> None:
    page = window.sign_in("#/dead-letters")
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(3)
    some = page.get_by_role("button", name=re.compile("Redrive chosen"))
    expect(some).to_be_disabled()
    every = page.get_by_role("button", name="Choose all shown")
    every.click()
    expect(some).to_have_text("Redrive chosen (3)")
    every.click()
    expect(some).to_be_disabled()
    boxes.nth(0).check()
    boxes.nth(2).check()
    let_die(running, 1)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # it refreshes at once
    expect(boxes).to_have_count(4)
    expect(boxes.nth(3)).to_be_checked()
    some.click()
    page.get_by_role("dialog").get_by_role("button", name="Redrive 2").click()
    expect(page.get_by_text("2 dead letters redriven")).to_be_visible()
    expect(boxes).to_have_count(2)
    expect(some).to_be_disabled()
    assert ops(running, "dead-letters")["matched"] == 2


def test_the_keyboard_stays_where_it_was_after_a_redrive(window: Window, dead: list[str]) -> None:
    page = window.sign_in("#/dead-letters")
    again = page.get_by_role("button", name=re.compile("Redrive ntf_"))
    expect(again).to_have_count(3)
    again.nth(1).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Your name").fill("kim")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(again).to_have_count(2)
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("Redrive ntf_"))


def test_the_way_back_leads_to_where_a_page_was_left(window: Window, running: Service) -> None:
    while len(ops(running, "events", limit="60")["data"]) < 52:
        running.pay("pm_card_visa")
    page = window.sign_in("#/events")
    expect(page.get_by_role("row").nth(40)).to_be_attached()
    page.evaluate("scrollTo(0, 900)")
    wait_until(lambda: page.evaluate("history.state?.y") == 900, "the place is remembered")
    page.get_by_role("row").nth(25).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page.get_by_role("row").nth(40)).to_be_attached()
    wait_until(lambda: page.evaluate("scrollY") > 850, "the page is where it was")


def test_the_key_is_never_in_what_is_taken_away(window: Window) -> None:
    page = window.sign_in("#/audit")
    assert KEY not in page.content()


def test_a_cause_is_told_by_what_it_was(window: Window, running: Service, dead: list[str]) -> None:
    page = window.sign_in("#/dead-letters")
    rows = page.get_by_role("row").filter(has_text="the event service answered 422")
    expect(rows).to_have_count(3)
    window.go()
    cause = page.get_by_role("link", name="status: the event service answered 422")
    cause.click()
    expect(rows).to_have_count(3)
