"""An event in the console: its payments, their sums, and the refund of all of them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.e2e import axe
from tests.e2e.console_window import (
    KEY,
    PHONE,
    Window,
    ops,
    sell,
)
from tests.e2e.running import Service
from tests.servers import wait_until

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000
# No element is wider than the dialog.
FITS = "one => one.scrollWidth <= one.clientWidth"


@pytest.fixture(scope="module")
def running(console: Service) -> Service:
    return console


def sold(running: Service, event: str, count: int) -> list[str]:
    """Sell this many tickets of an event at 10.00 SGD each, and let one card be declined."""
    metadata = {"event_id": event}
    sales = [sell(running, amount=1000, currency="sgd", metadata=metadata) for _ in range(count)]
    running.pay("pm_card_chargeDeclined", amount=1000, currency="sgd", metadata=metadata)
    unpaid = {"event_id": event, "status": "requires_payment_method"}
    wait_until(lambda: ops(running, "payments", **unpaid)["data"], "the declined one to be known")
    return sales


def batches(running: Service, path: str = "", **query: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {KEY}"}
    address = f"{running.url()}/api/refund/batches{path}"
    return requests.get(address, params=query, headers=headers, timeout=10)


def started(running: Service, **body: object) -> str:
    """Start a batch; return its id."""
    headers = {"Authorization": f"Bearer {KEY}"}
    address = f"{running.url()}/api/refund/batches"
    answer = requests.post(address, json=body, headers=headers, timeout=20)
    return str(answer.json()["batch_id"])


def ask_for_refund(page: Page) -> None:
    page.get_by_role("button", name="Refund this event").click()
    page.get_by_role("button", name="Show what would happen").click()


def report(page: Page, folder: Path) -> dict[str, dict[str, str]]:
    """Download the report of a batch; return its rows by payment."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Report CSV").click()
    file = folder / "report.csv"
    download.value.save_as(file)
    rows = csv.DictReader(io.StringIO(file.read_text("utf-8-sig")))
    return {row["payment_id"]: row for row in rows}


def test_cells_of_a_file_are_those_of_the_command_line(window: Window) -> None:
    cells = json.loads((Path(__file__).parents[1] / "fixtures" / "csv_cells.json").read_text())
    write = "async (rows) => (await import('/console/csv.js')).csv(rows)"
    text = window.sign_in().evaluate(write, [{"cell": value} for value, _ in cells])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.count("\r\n") == len(cells) + 1
    # A reader skips a line without anything in it.
    assert [row["cell"] for row in rows] == [cell for _, cell in cells if cell]


def test_an_event_shows_its_payments_and_their_sums(window: Window, running: Service) -> None:
    sales = sold(running, "sums", 3)
    page = window.sign_in("#/payments?event_id=sums")
    page.get_by_role("link", name="Event sums").first.click()
    expect(page.get_by_role("heading", name="4 payments", exact=True)).to_be_visible()
    expect(page.get_by_label("Event", exact=True)).to_contain_text("30.00 SGD")
    row = page.get_by_role("table", name="Sums by status").get_by_role("row")
    expect(row.filter(has_text="succeeded")).to_contain_text("3")
    for payment in sales:
        expect(page.get_by_role("table", name="Payments").get_by_text(payment)).to_be_visible()
    assert axe.violations(page) == []


def test_an_event_is_refunded_after_a_dry_run_and_a_typed_confirmation(
    window: Window, running: Service, tmp_path: Path
) -> None:
    sales = sold(running, "whole", 3)
    page = window.sign_in("#/event-payments/whole")
    ask_for_refund(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Refund 3 payments?")).to_be_visible()
    expect(dialog.get_by_label("What would be refunded")).to_contain_text("30.00 SGD")
    expect(dialog.get_by_label("Left out")).to_contain_text("1 payment: not captured")
    assert axe.violations(page) == []
    start = dialog.get_by_role("button", name="Refund 3 payments")
    for wrong in ("", "Whole", "whole2"):
        dialog.get_by_label("Type whole").fill(wrong)
        start.click()
        expect(dialog).to_be_visible()
    assert batches(running, event_id="whole").json()["data"] == []
    dialog.get_by_label("Type whole").fill("whole")
    start.click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    actions = page.get_by_label("Batch", exact=True).locator(".actions")
    expect(actions).to_have_text(re.compile(r"^(PauseCancel)?\s*Report CSV$"))
    page.reload()
    expect(page.get_by_text("completed")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("progressbar")).to_have_text("4 of 4")
    expect(page.get_by_label("Batch", exact=True)).to_contain_text("30.00 SGD")
    assert axe.violations(page) == []
    rows = report(page, tmp_path)
    assert len(rows) == 4
    for payment in sales:
        assert (rows[payment]["status"], rows[payment]["amount"]) == ("refunded", "1000")
        assert rows[payment]["refund_id"].startswith("re_")
    page.go_back()
    expect(page.get_by_role("table", name="Batches of refunds")).to_contain_text("completed")


def test_a_fixed_amount_less_a_fixed_fee_goes_back_in_one_currency(
    window: Window, running: Service
) -> None:
    sold(running, "fixed", 2)
    sell(running, amount=900, currency="jpy", metadata={"event_id": "fixed"})
    query = {"event_id": "fixed", "status": "succeeded"}
    wait_until(lambda: len(ops(running, "payments", **query)["data"]) == 3, "all to be known")
    page = window.sign_in("#/event-payments/fixed")
    page.get_by_role("button", name="Refund this event").click()
    only = page.get_by_label("Only payments in")
    expect(only).to_be_hidden()
    page.get_by_label("How much of each payment").select_option("An amount")
    page.get_by_label("Keep of each payment").select_option("An amount")
    expect(only).to_have_value("sgd")
    page.get_by_label("Amount", exact=True).fill("7.50")
    page.get_by_label("Amount to keep").fill("0.25")
    assert axe.violations(page) == []
    page.get_by_role("button", name="Show what would happen").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("What would be refunded")).to_contain_text("14.50 SGD")
    expect(dialog.get_by_label("Left out")).to_contain_text("1 payment: currency mismatch")
    dialog.get_by_label("Type fixed").fill("fixed")
    dialog.get_by_role("button", name="Refund 2 payments").click()
    expect(page.get_by_text("7.50 SGD of each, less 0.25 SGD")).to_be_visible()
    expect(page.get_by_text("completed")).to_be_visible(timeout=PATIENCE_MS)
    (batch,) = batches(running, event_id="fixed").json()["data"]
    assert (batch["amount"], batch["keep_fee"], batch["expected_currency"]) == (750, 25, "sgd")
    assert batch["amounts"]["sgd"] == {"refunded": 1450}


def test_all_batches_are_listed_and_each_leads_to_its_page(
    window: Window, running: Service
) -> None:
    sold(running, "listed", 1)
    page = window.sign_in("#/event-payments/listed")
    ask_for_refund(page)
    page.get_by_label("Type listed").fill("listed")
    page.get_by_role("button", name="Refund 1 payment").click()
    page.wait_for_url("**/refund-batches/**")
    window.go("#/refunds")
    page.get_by_role("link", name="Batches").click()
    page.get_by_role("link", name="Event listed, all that is left").click()
    expect(page.get_by_role("heading", name="Event listed")).to_be_visible()


def test_a_list_says_how_many_refunds_of_a_completed_batch_failed(
    window: Window, running: Service
) -> None:
    sold(running, "refused", 2)
    faults = f"{running.url('SANDBOX_PORT')}/_sandbox/faults"
    match = {"method": "POST", "path_prefix": "/v1/refunds"}
    refusal = {"kind": "error", "status": 400, "match": match, "times": 1}
    requests.post(faults, json=refusal, timeout=5).raise_for_status()
    batch = started(running, event_id="refused")
    wait_until(lambda: batches(running, f"/{batch}").json()["state"] == "completed", "its end")
    page = window.sign_in("#/refund-batches")
    row = page.get_by_role("row").filter(has_text=batch)
    expect(row).to_contain_text("completed 1 failed")
    assert axe.violations(page) == []


@pytest.mark.long
def test_a_batch_is_paused_resumed_and_canceled(window: Window, running: Service) -> None:
    sold(running, "stops", 2)
    faults = f"{running.url('SANDBOX_PORT')}/_sandbox/faults"
    match = {"method": "POST", "path_prefix": "/v1/refunds"}
    slow = {"kind": "delay", "delay_seconds": 4, "match": match, "times": None}
    requests.post(faults, json=slow, timeout=5).raise_for_status()
    page = window.sign_in("#/event-payments/stops")
    ask_for_refund(page)
    page.get_by_label("Type stops").fill("stops")
    page.get_by_role("button", name="Refund 2 payments").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused. Refunds that have begun")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the batch").click()
    expect(page.get_by_text("canceled", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    (batch,) = batches(running, event_id="stops").json()["data"]
    assert batch["state"] == "canceled"
    requests.delete(faults, timeout=5)


def test_an_event_where_nothing_is_left_says_so(window: Window, running: Service) -> None:
    metadata = {"event_id": "nothing"}
    running.pay("pm_card_chargeDeclined", amount=1000, currency="sgd", metadata=metadata)
    wait_until(lambda: ops(running, "payments", event_id="nothing")["data"], "it to be known")
    page = window.sign_in("#/event-payments/nothing")
    ask_for_refund(page)
    expect(page.get_by_role("heading", name="Nothing can be refunded")).to_be_visible()
    # There is nothing to decide: one button, not one that cancels and one that closes.
    expect(page.get_by_role("dialog").get_by_role("button")).to_have_text(["Close"])
    page.get_by_role("button", name="Close").click()
    window.go("#/event-payments/unknown")
    expect(page.get_by_text("No payment names this event")).to_be_visible()


def test_a_question_closes_when_another_page_is_opened(window: Window, running: Service) -> None:
    """With the button Back, for example: over the other page, it would seem to be about that."""
    metadata = {"event_id": "left"}
    sell(running, amount=1000, currency="sgd", metadata=metadata)
    page = window.sign_in("#/refund-batches")
    expect(page.get_by_role("heading", level=1)).to_have_text("Batches of refunds")
    window.go("#/event-payments/left")
    ask_for_refund(page)
    expect(page.get_by_label("Type left")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_an_event_with_a_long_word_and_odd_spaces_is_confirmed_as_it_is_shown(
    phone: Window, running: Service
) -> None:
    """A page shows one space for several, and nobody can type what it does not show."""
    event = f" night  of\t{'x' * 60} "
    sell(running, amount=1000, currency="sgd", metadata={"event_id": event})
    page = phone.sign_in(f"#/event-payments/{quote(event)}")
    ask_for_refund(page)
    typed = page.get_by_label("Type")
    typed.fill(f"night of {'x' * 60}")
    assert page.get_by_role("dialog").evaluate(FITS)
    page.get_by_role("button", name="Refund 1 payment").click()
    page.wait_for_url("**/refund-batches/**")
    (batch,) = batches(running, event_id=event).json()["data"]
    assert batch["total"] == 1


def lose_an_answer(page: Page, path: str) -> list[str]:
    """Lose the first answer of a route; return the idempotency keys of the requests to it."""
    keys = list[str]()

    def answer(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key", ""))
        if len(keys) > 1:
            route.continue_()
            return
        route.fetch()
        route.abort()

    page.route(path, answer)
    return keys


def test_cancelling_says_which_refunds_are_made_all_the_same(
    window: Window, running: Service
) -> None:
    """A refund that waits for balance at Stripe cannot be called back."""
    balance = f"{running.url('SANDBOX_PORT')}/_sandbox/balance"
    sold(running, "poor", 1)
    try:
        requests.post(balance, json={"available": 0}, timeout=5).raise_for_status()
        page = window.sign_in("#/event-payments/poor")
        ask_for_refund(page)
        page.get_by_label("Type poor").fill("poor")
        page.get_by_role("button", name="Refund 1 payment").click()
        expect(page.get_by_text("The balance at Stripe is too low")).to_be_visible(
            timeout=PATIENCE_MS
        )
        page.get_by_role("button", name="Cancel", exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("All refunds have begun, and are completed.")
        buttons = dialog.get_by_role("button")
        expect(buttons).to_have_text(["Keep the batch", "Cancel the batch"])
        expect(dialog).to_contain_text("1 refund will be made when the balance suffices")
        keys = lose_an_answer(page, "**/cancel")
        page.get_by_role("button", name="Cancel the batch").click()
        expect(dialog).to_contain_text("it takes effect once")
        page.get_by_role("button", name="Cancel the batch").click()
        expect(page.get_by_text("canceled", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        first, again = keys
        assert first
        assert again == first
        expect(page.get_by_text("Still to refund")).to_be_visible()
        expect(page.get_by_text("Not refunded")).to_have_count(0)
    finally:
        requests.post(balance, json={"available": None}, timeout=5).raise_for_status()


def test_a_batch_shows_its_metadata_a_long_value_over_the_whole_width(
    phone: Window, running: Service
) -> None:
    """A value of 500 letters in a column of its own would be a screen high."""
    sell(running, amount=1000, currency="sgd", metadata={"event_id": "noted"})
    long = "a reason that was agreed " * 19
    metadata = {"ticket": "4711", "agreed": long.strip()}
    batch = started(running, event_id="noted", metadata=metadata)
    page = phone.sign_in(f"#/refund-batches/{batch}")
    facts = page.get_by_label("Batch", exact=True).locator(".facts")
    expect(facts).to_contain_text("ticket4711")
    width = facts.evaluate("one => one.clientWidth")
    value = facts.locator("div").filter(has=page.get_by_text("agreed", exact=True))
    assert value.evaluate("one => one.clientWidth") == width
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_phone_shows_a_large_amount_in_one_line(phone: Window, running: Service) -> None:
    sell(running, amount=1000, currency="sgd", metadata={"event_id": "large"})
    batch = started(running, event_id="large")

    def enlarge(route: Route) -> None:
        answer = route.fetch()
        amounts = {"kwd": {"refunded": 1_234_567_890}, "idr": {"refunded": 99_999_999_999}}
        route.fulfill(response=answer, json=answer.json() | {"amounts": amounts})

    phone.page.route(f"**/refund/batches/{batch}", enlarge)
    page = phone.sign_in(f"#/refund-batches/{batch}")
    lines = page.get_by_label("Batch", exact=True).locator(".facts dd > div")
    expect(lines).to_have_text(["1,234,567.890\u00a0KWD", "999,999,999.99\u00a0IDR"])
    one_line = "one => one.clientHeight < 2 * parseFloat(getComputedStyle(one).fontSize)"
    assert [lines.nth(place).evaluate(one_line) for place in range(2)] == [True, True]


@pytest.mark.long
def test_a_phone_shows_an_event_without_a_sideways_scroll(phone: Window, running: Service) -> None:
    sold(running, "phone", 1)
    page = phone.sign_in("#/event-payments/phone")
    page.get_by_role("button", name="Refund this event").click()
    page.get_by_label("How much of each payment").select_option("An amount")
    dialog = page.get_by_role("dialog")
    assert dialog.evaluate(FITS)
    page.get_by_label("How much of each payment").select_option("All that is left")
    page.get_by_role("button", name="Show what would happen").click()
    page.get_by_label("Type phone").fill("phone")
    assert dialog.evaluate(FITS)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("button", name="Refund 1 payment").click()
    page.wait_for_url("**/refund-batches/**")
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert axe.violations(page) == []
