"""The console's pages in a browser: accessible, correct, safe against texts of strangers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, Route, expect

from tests.depth import cases
from tests.e2e.axe import violations
from tests.e2e.console_window import (
    DESKTOP,
    EXPECTED,
    KEY,
    PHONE,
    Window,
    let_die,
    ops,
    redrive_all,
    sell,
    windows,
)
from tests.e2e.parts import billing
from tests.e2e.running import Json, Service
from tests.servers import valkey

pytestmark = pytest.mark.browser
# Characters that reverse the following text, ring a bell, or show nothing.
HIDDEN = "paid\u202edeliaf\u0007 \u200bfree"
LISTS = ["", "payments", "refunds", "notifications", "events", "dead-letters", "audit"]
# Cells whose text reaches into the next one.
TOO_NARROW = """() => [...document.querySelectorAll("td")]
  .filter((cell) => cell.scrollWidth > cell.clientWidth + 1)
  .map((cell) => cell.innerText)"""
LOOKS = [(DESKTOP, "light"), pytest.param(PHONE, "dark", marks=pytest.mark.long)]


@pytest.fixture(scope="module")
def running(console: Service) -> Service:
    return console


@pytest.fixture(scope="module")
def places(running: Service) -> Iterator[list[str]]:
    """Make everything that a page can show, and give the address of a page of each kind."""
    payment = sell(running, metadata={"event_id": "123"})
    disputed = running.pay("pm_card_createDispute").json()["payment_intent_id"]
    address = f"{running.url()}/api/refund/process"
    body = {"payment_intent_id": payment, "amount": 300}
    headers = {"Prefer": "wait=20"}
    refund = requests.post(address, json=body, headers=headers, timeout=30).json()
    batch = requests.post(
        f"{running.url()}/api/refund/batches",
        json={"payments": [sell(running, metadata={"event_id": "123"})]},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=30,
    ).json()["batch_id"]
    let_die(running, 2)
    letter = ops(running, "dead-letters")["data"][0]["id"]
    event = ops(running, "events", payment_id=payment)["data"][0]["id"]
    details = [f"payments/{payment}", f"payments/{disputed}", f"refunds/{refund['refund_id']}"]
    details += ["refund-batches", f"refund-batches/{batch}", "event-payments/123"]
    details += [f"items/{refund['refund_request_id']}", f"items/{letter}", f"events/{event}"]
    yield [*LISTS, *details, "find/example.com", "payments/pi_unknown"]
    redrive_all(running)


def settled(page: Page) -> None:
    """Wait until the page has loaded its content."""
    expect(page.get_by_text(re.compile("Updated"))).to_be_attached()
    expect(page.locator(".loading")).to_have_count(0)


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_axe_finds_nothing_on_any_page(
    browser: Browser, running: Service, places: list[str], size: Any, scheme: str
) -> None:
    for window in windows(browser, running.url(), size, color_scheme=scheme):
        page = window.go()
        expect(page.get_by_label("Operator key")).to_be_visible()
        assert violations(page) == []
        window.sign_in()
        for place in places:
            window.go(f"#/{place}")
            settled(page)
            assert violations(page) == [], place
        window.go("#/dead-letters")
        page.get_by_role("button", name="Redrive all that match").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []


def test_each_page_has_a_title_one_heading_and_no_cell_over_another_on_a_phone(
    browser: Browser, running: Service, places: list[str]
) -> None:
    titles = []
    for window in windows(browser, running.url(), PHONE):
        page = window.sign_in()
        for place in places:
            window.go(f"#/{place}")
            settled(page)
            expect(page.locator("h1")).to_have_count(1)
            titles.append(page.title())
            assert page.evaluate(TOO_NARROW) == [], place
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], place
    assert len(set(titles)) == len(places), titles
    assert all(title.endswith(" · Billing console") for title in titles)


STAND: Json = {
    "workers": 1,
    "stuck": [],
    "breaker_open": False,
    "upkeep_silent": False,
    "store_findings": [],
    "upkeep_seconds_ago": 1.0,
    "data": [
        {
            "name": name,
            "depth": 0,
            "open": 0,
            "due": 0,
            "overdue_seconds": 0.0,
            "dead": 0,
            "consumers": 1,
            "silent": False,
            "consumed_seconds_ago": 3.0,
        }
        for name in ("events", "refunds", "notifications", "upkeep")
    ],
}


def stand(queue: int = 0, **changes: Any) -> Json:
    """Build the state of the queues when all is well, with changes to the whole or to one queue."""
    changed = json.loads(json.dumps(STAND))
    for name, value in changes.items():
        (changed if name in changed else changed["data"][queue])[name] = value
    return dict(changed)


ALL_WELL = stand()
STANDS = (
    ALL_WELL,
    stand(workers=0, consumers=0, silent=True, consumed_seconds_ago=50.0),
    stand(3, consumers=0, silent=True, consumed_seconds_ago=None),
    stand(stuck=["host:1"]),
    stand(upkeep_silent=True, upkeep_seconds_ago=None),
    stand(upkeep_silent=True, upkeep_seconds_ago=61.0, workers=0),
    stand(breaker_open=True),
    stand(1, dead=1),
    stand(3, dead=1),
    stand(2, overdue_seconds=600.0, due=5),
    stand(store_findings=[{"level": "error", "what": "append-only file off", "fix": "Set it."}]),
    stand(store_findings=[{"level": "warning", "what": "A crash tore it.", "fix": "Ask."}]),
)


@pytest.mark.deep
def test_all_is_well_never_stands_beside_a_red_number(window: Window) -> None:
    page = window.page
    words: list[Json] = []

    def answer(route: Route) -> None:
        route.fulfill(json=words[-1])

    window.sign_in("#/audit")
    page.route("**/ops/queues", answer)
    wrong = []
    for number, queues in enumerate(STANDS[: cases(4, len(STANDS))]):
        words.append(queues)
        window.go(f"#/?stand={number}")
        settled(page)
        red = page.locator("main :is(b.bad, a.bad, .pill.bad, li.bad)").count()
        well = page.get_by_text("All is well.").count()
        assert page.locator(".health").count() == 1
        if (well == 1) != (queues == ALL_WELL) or (well and red):
            wrong.append((queues, well, red))
    assert wrong == []


def test_what_nobody_would_see_is_shown(window: Window, running: Service) -> None:
    payment = sell(running, description=HIDDEN, metadata={"note": HIDDEN})
    page = window.sign_in(f"#/payments/{payment}")
    expect(page.get_by_text("paid\\u{202e}deliaf\\u{7} \\u{200b}free").first).to_be_visible()
    for event in ops(running, "events", payment_id=payment)["data"]:
        window.go(f"#/events/{event['id']}")
        page.locator("summary").click()
        expect(page.locator("pre")).to_contain_text(event["id"])
        assert not re.search(r"[\u202e\u200b\x07]", page.content())


def test_times_name_their_zone(browser: Browser, running: Service) -> None:
    payment = sell(running)
    context = browser.new_context(viewport=DESKTOP, locale="en-GB", timezone_id="Asia/Singapore")
    window = Window(context.new_page(), running.url())
    page = window.sign_in(f"#/payments/{payment}")
    expect(page.locator(".timeline .day").first).to_contain_text("GMT+8")
    title = page.locator(".timeline time").first.get_attribute("title") or ""
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3} GMT\+8 \(20\d\d-\d\d-\d\d \d\d:", title), title
    context.close()


def test_the_overview_draws_the_last_hours(window: Window, running: Service) -> None:
    sell(running)
    page = window.sign_in()
    rates = page.locator(".rates li")
    expect(rates).to_have_count(7)
    expect(
        page.get_by_role("img", name=re.compile(r"Payments: at most \d+ in five"))
    ).to_be_visible(timeout=15_000)
    expect(rates.first.locator("rect")).to_have_count(72)
    expect(page.get_by_role("img", name=re.compile("Delay of notifications: 99"))).to_be_visible()


@pytest.mark.long
def test_a_redis_that_is_away_is_said_and_the_page_goes_on_by_itself(
    browser: Browser, tmp_path: Path
) -> None:
    with ExitStack() as all_of_it:
        store = all_of_it.enter_context(ExitStack())
        redis_url = store.enter_context(valkey())
        parts = all_of_it.enter_context(billing(tmp_path, redis_url, OPERATOR_KEYS=KEY))
        for window in windows(browser, parts.url, DESKTOP):
            window.expected = re.compile(rf"{EXPECTED.pattern}|.*status of 503")
            page = window.sign_in()
            expect(page.get_by_role("table", name="Queues")).to_be_visible()
            store.close()
            away = page.get_by_role("alert").filter(has_text="Redis is unavailable")
            expect(away).to_be_visible(timeout=20_000)
            expect(away).to_contain_text("This page is from")
            expect(page.get_by_role("table", name="Queues")).to_be_visible()
            assert violations(page) == []
            page.set_viewport_size(PHONE)
            for place in LISTS[1:]:
                window.go(f"#/{place}")
                expect(page.get_by_text("The service cannot answer now")).to_be_visible()
                assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            all_of_it.enter_context(valkey(port=urlsplit(redis_url).port))
            expect(page.get_by_text("The service cannot answer now")).to_be_hidden(timeout=30_000)


def test_the_contract_can_be_read_and_tried_under_a_strict_policy(
    browser: Browser, running: Service
) -> None:
    for window in windows(browser, running.url(), DESKTOP):
        page = window.page
        page.goto(f"{running.url()}/docs")
        page.get_by_text("/health", exact=True).click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.get_by_text('"healthy"').first).to_be_visible()


def test_an_item_belongs_to_the_list_of_its_kind(window: Window, running: Service) -> None:
    payment = sell(running)
    address = f"{running.url()}/api/refund/process"
    body = {"payment_intent_id": payment, "amount": 300}
    requests.post(address, json=body, headers={"Prefer": "wait=20"}, timeout=30)
    page = window.sign_in()
    for room, name in (("notifications", "Notifications"), ("refunds", "Refunds")):
        item = ops(running, room, payment_id=payment)["data"][0]["id"]
        window.go(f"#/items/{item}")
        settled(page)
        current = page.get_by_role("navigation", name="Console").locator("[aria-current]")
        expect(current).to_have_text(name)


def test_nothing_that_matches_can_be_redriven_when_nothing_does(window: Window) -> None:
    page = window.sign_in("#/dead-letters?type=no.such.type")
    expect(page.get_by_text("No dead letter matches")).to_be_visible()
    expect(page.get_by_role("button", name="Redrive all that match")).to_be_disabled()
