"""An operator with a browser at the console: every process is real, and a key is required."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, expect

from sandbox.objects.money import CURRENCIES, decimals
from tests.e2e.console_window import (
    DESKTOP,
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
from tests.e2e.running import Service
from tests.servers import wait_until

pytestmark = pytest.mark.browser
ATTACK = "<img src=x onerror=\"alert('owned')\"><script>alert('owned')</script>"


@pytest.fixture(scope="module")
def running(console: Service) -> Service:
    return console


@pytest.fixture
def dead(running: Service) -> Iterator[list[str]]:
    """Make two notifications dead letters; then repair the event service."""
    yield let_die(running, 2)
    redrive_all(running)


def test_a_wrong_key_is_refused_and_the_right_one_leads_in(window: Window) -> None:
    page = window.sign_in("#/events", key="not-the-key")
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    page.get_by_label("Operator key").fill("kлюч")  # characters that no header can contain
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    page.get_by_label("Operator key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Stripe events", level=1)).to_be_visible()
    expect(page.get_by_text("This service is open")).to_have_count(0)


def test_the_key_lives_in_the_tab_alone_and_goes_with_a_sign_out(window: Window) -> None:
    page = window.sign_in()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    places = "[JSON.stringify(sessionStorage).includes(%r), localStorage.length, document.cookie]"
    assert page.evaluate(places % KEY) == [True, 0, ""]
    assert KEY not in page.url
    assert KEY not in page.content()
    page.reload()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Operator key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.get_by_label("Operator key")).to_be_visible()


def test_a_key_that_is_no_longer_accepted_is_asked_for_anew(window: Window) -> None:
    page = window.sign_in("#/audit")
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    page.evaluate("sessionStorage.setItem('billing.operator_key', 'rotated-away')")
    expect(page.get_by_role("alert")).to_contain_text("does not know", timeout=15_000)
    page.get_by_label("Operator key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()


def test_the_overview_tells_how_everything_stands(window: Window, running: Service) -> None:
    sell(running)
    page = window.sign_in()
    expect(page.get_by_text("Simulated", exact=True)).to_be_visible()
    queues = page.get_by_role("table", name="Queues")
    for name in ("events", "refunds", "notifications", "upkeep"):
        row = queues.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))
        expect(row.get_by_role("cell").nth(6)).to_have_text("1", timeout=20_000)
    expect(page.get_by_text("All is well.")).to_be_visible()
    page.get_by_role("button", name="Reconcile now").click()
    page.get_by_label("Your name").fill("kim")
    page.get_by_role("dialog").get_by_role("button", name="Reconcile").click()
    expect(page.get_by_text("Reconcile starts.")).to_be_visible()
    wait_until(lambda: ops(running, "audit")["data"][0]["kind"] == "reconcile", "the audit")


def test_an_event_is_searched_for_and_shown_whole(window: Window, running: Service) -> None:
    payment = sell(running)
    page = window.sign_in("#/events")
    page.get_by_label("Type").fill("succeeded")
    page.get_by_label("Payment", exact=True).fill(payment)
    page.get_by_label("State").select_option("processed")
    expect(page.get_by_role("row")).to_have_count(3)  # head, payment, charge
    search = page.url
    page.get_by_role("link", name="payment_intent.succeeded").click()
    expect(page.get_by_role("heading", name="payment_intent.succeeded")).to_be_visible()
    expect(page.get_by_text("Attempt 1: processed")).to_be_visible()
    page.get_by_text("Payload").click()
    expect(page.locator("pre")).to_contain_text(f'"id": "{payment}"')
    page.go_back()
    expect(page.get_by_role("row")).to_have_count(3)
    assert page.url == search
    expect(page.get_by_label("Payment", exact=True)).to_have_value(payment)


def test_older_events_are_a_page_away_and_none_is_shown_twice(
    window: Window, running: Service
) -> None:
    while ops(running, "events", limit="60")["matched"] < 60:
        sell(running)
    page = window.sign_in("#/events")
    ids = page.locator("td small.id")
    expect(ids).to_have_count(50)
    # In one step: an event may come at any moment and shift the page of the newest ones.
    first, older = page.evaluate(
        """() => [
            [...document.querySelectorAll("td small.id")].map((shown) => shown.textContent),
            [...document.links].find((link) => link.textContent === "Older").hash,
        ]"""
    )
    window.go(older)
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    expect(page.get_by_text(first[0])).to_have_count(0)
    second = ids.all_inner_texts()
    every = [item["id"] for item in ops(running, "events", limit="1000")["data"]]
    start = every.index(first[0])
    assert first + second == every[start : start + len(first + second)]
    page.go_back()
    expect(page.get_by_text(first[0])).to_be_visible()


def test_a_dead_letter_shows_up_by_itself_is_redriven_and_leaves(
    window: Window, running: Service, request: pytest.FixtureRequest
) -> None:
    page = window.sign_in("#/dead-letters")
    expect(page.get_by_text("No dead letters")).to_be_visible()
    payments = request.getfixturevalue("dead")
    expect(page.get_by_role("row")).to_have_count(3, timeout=15_000)
    letter = ops(running, "dead-letters", payment_id=payments[0])["data"][0]["id"]
    page.locator(f'a[href$="{letter}"]').click()
    expect(page.get_by_text("Ask its owner")).to_be_visible()
    page.get_by_role("button", name="Redrive", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your name").fill("kim")
    dialog.get_by_label("Reason").fill("the event service is well")
    dialog.get_by_role("button", name="Redrive").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("delivered", exact=True)).to_be_visible(timeout=15_000)
    page.get_by_role("link", name="Dead letters").click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.locator(f'a[href$="{letter}"]')).to_have_count(0)
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("the event service is well")


def test_all_that_match_are_counted_first_and_redriven_when_confirmed(
    window: Window, running: Service, dead: list[str]
) -> None:
    page = window.sign_in(f"#/dead-letters?payment_id={dead[0]}")
    every = page.get_by_role("button", name="Redrive all that match")
    expect(page.get_by_role("row")).to_have_count(2)
    every.click()
    expect(page.get_by_role("dialog")).to_contain_text("Redrive 1 dead letter?")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_role("row")).to_have_count(3)
    every.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 notifications")
    dialog.get_by_role("button", name="Cancel").click()
    assert ops(running, "dead-letters")["matched"] == 2
    every.click()
    dialog.get_by_role("button", name="Redrive 2").click()
    expect(page.get_by_text("2 dead letters redriven")).to_be_visible()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    for payment in dead:
        wait_until(lambda p=payment: delivered(running, p), "the event service to be told")


def delivered(running: Service, payment: str) -> bool:
    """Say whether the event service accepted the notification of a payment."""
    return any(item["answered"] == 200 for item in running.notifications(payment_intent_id=payment))


def test_a_dead_refund_job_is_resolved_as_a_person_found_it(
    window: Window, running: Service
) -> None:
    payment = sell(running)
    faults = f"{running.url('SANDBOX_PORT')}/_sandbox/faults"
    fault = {"kind": "error", "method": "POST", "path_prefix": "/v1/refunds", "times": None}
    requests.post(faults, json=fault, timeout=5).raise_for_status()
    body = {"payment_intent_id": payment}
    address = f"{running.url()}/api/refund/process"
    job = requests.post(address, json=body, timeout=10).json()["refund_request_id"]
    wait_until(lambda: ops(running, f"items/{job}")["state"] == "dead", "the job to die")
    requests.delete(faults, timeout=5).raise_for_status()

    page = window.sign_in(f"#/items/{job}")
    expect(
        page.get_by_text(
            "Stripe failed with a 500, and repeats that answer under the key for 24 h."
        )
    ).to_be_visible()
    page.get_by_role("button", name="Resolve").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Stripe made this refund").check()
    dialog.get_by_label("The refund's id").fill("re_0123456789unknown")
    dialog.get_by_role("button", name="Resolve").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No such refund")
    dialog.get_by_label("Stripe made no refund").check()
    dialog.get_by_role("button", name="Resolve").click()
    expect(dialog).to_have_count(0)
    running.notifications_of(payment, "payment.succeeded", "refund.failed")
    expect(page.get_by_text("finished", exact=True)).to_be_visible(timeout=15_000)


def test_a_payment_tells_its_story_and_runs_nothing_that_a_stranger_wrote(
    window: Window, running: Service
) -> None:
    metadata = {"note": ATTACK, "event_id": "123"}
    payment = sell(running, amount=5000, currency="jpy", description=ATTACK, metadata=metadata)
    body = {"payment_intent_id": payment, "amount": 2000}
    refund = requests.post(
        f"{running.url()}/api/refund/process", json=body, headers={"Prefer": "wait=20"}, timeout=30
    ).json()
    running.notifications_of(payment, "payment.succeeded", "refund.succeeded")

    page = window.sign_in()
    page.get_by_label("Find by id").fill(payment)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="5,000 JPY")).to_be_visible()
    expect(page.get_by_text(ATTACK).first).to_be_visible()
    expect(page.get_by_text("Notified: payment.succeeded")).to_be_visible()
    expect(page.get_by_text("Refund of 2,000 JPY requested")).to_be_visible()
    assert urlsplit(page.url).fragment == f"/payments/{payment}"
    for name in (refund["refund_id"], refund["refund_request_id"]):
        page.get_by_label("Find by id").fill(name)
        page.keyboard.press("Enter")
        if name.startswith("re_"):
            expect(page.get_by_role("heading", name="2,000 JPY")).to_be_visible()
            expect(page.get_by_text("Notified: refund.succeeded")).to_be_visible()
        else:
            expect(page.get_by_role("heading", name="Refund job", level=1)).to_be_visible()
    for event in ops(running, "events", payment_id=payment)["data"]:
        window.go(f"#/events/{event['id']}")
        page.locator("summary").click()
        expect(page.locator("pre")).to_contain_text(event["id"])
    assert page.locator("img, script:not([src]), iframe, object").count() == 0


def test_a_declined_payment_shows_why_it_was_declined(window: Window, running: Service) -> None:
    declined = running.pay("pm_card_chargeDeclinedInsufficientFunds").json()["payment_intent_id"]
    running.notifications_of(declined, "payment.failed")
    page = window.sign_in(f"#/payments/{declined}")
    requested = page.get_by_role("listitem").filter(has_text="Payment requested")
    expect(requested).to_contain_text("insufficient funds")


def test_what_is_no_id_and_what_is_unknown_is_said(window: Window) -> None:
    page = window.sign_in()
    page.get_by_label("Find by id").fill("66")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Type an id")
    page.get_by_label("Find by id").fill("order 66")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    window.go("#/payments/pi_unknown")
    expect(page.get_by_text("no webhook has come yet")).to_be_visible()
    window.go("#/events/evt_unknown")
    expect(page.get_by_role("button", name="Fetch from Stripe")).to_be_visible()
    window.go("#/nowhere/%E0%A4%A")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_amounts_have_the_decimals_that_stripe_gives_them(window: Window) -> None:
    page = window.go()
    answer = page.evaluate(
        """async (currencies) => {
            const { money } = await import("./console/format.js");
            return Object.fromEntries(currencies.map((one) => [one, money(1234567, one)]));
        }""",
        sorted(CURRENCIES),
    )
    texts = {0: "1,234,567", 2: "12,345.67", 3: "1,234.567"}
    assert answer == {one: f"{texts[decimals(one)]}\u00a0{one.upper()}" for one in CURRENCIES}


@pytest.mark.long
def test_a_phone_shows_everything_without_a_sideways_scroll(
    phone: Window, running: Service, dead: list[str]
) -> None:
    payment = sell(running, metadata={"a_rather_long_name_of_a_field": "x" * 200})
    event = ops(running, "events", payment_id=payment)["data"][0]["id"]
    letter = ops(running, "dead-letters")["data"][0]["id"]
    page = phone.sign_in()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    places = ["", "events", "dead-letters", "payments", "audit"]
    places += [f"payments/{payment}", f"events/{event}", f"items/{letter}"]
    for place in places:
        phone.go(f"#/{place}")
        expect(page.get_by_text(re.compile("Updated"))).to_be_attached()
        expect(page.locator(".loading")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], place
        expect(page.get_by_role("navigation").get_by_role("link", name="Audit")).to_be_in_viewport()


def test_a_keyboard_is_enough(window: Window, dead: list[str]) -> None:
    page = window.sign_in()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("link", name="Skip to the content").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_focused()
    page.get_by_role("navigation").get_by_role("link", name="Dead letters").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Dead letters")).to_be_focused()
    redrive = page.get_by_role("button", name=re.compile("Redrive ntf_")).first
    redrive.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Your name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(redrive).to_be_focused()


def test_a_hidden_tab_asks_for_nothing_and_a_shown_one_at_once(
    browser: Browser, running: Service
) -> None:
    for window in windows(browser, running.url(), DESKTOP):
        hide_and_show(window)


def hide_and_show(window: Window) -> None:
    """Count the requests of a window of its own, whose clock is not that of others."""
    page = window.page
    page.clock.install()
    window.sign_in()
    expect(page.get_by_role("table", name="Queues")).to_be_visible()
    turn = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(turn, True)
    page.clock.run_for(5_000)  # ends the current pause
    before = len(window.addresses)
    page.clock.run_for(60_000)
    assert len(window.addresses) == before
    with page.expect_response("**/ops/queues"):
        page.evaluate(turn, False)
    with page.expect_response("**/ops/queues"):
        page.clock.run_for(5_000)


@pytest.mark.long
def test_a_restart_is_said_and_survived_and_an_open_service_says_that_it_is(
    browser: Browser, tmp_path: Any, valkey_url: str
) -> None:
    with billing(tmp_path, valkey_url) as parts:
        for window in windows(browser, parts.url, DESKTOP):
            page = window.go()
            expect(page.get_by_text("This service is open.")).to_be_visible()
            expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
            expect(page.get_by_role("table", name="Queues")).to_be_visible()
            parts.processes["api"].terminate()
            parts.processes["api"].wait()
            away = page.get_by_role("alert").filter(has_text="Cannot reach the service.")
            expect(away).to_be_visible(timeout=20_000)
            expect(page.get_by_role("table", name="Queues")).to_be_visible()
            page.get_by_role("link", name="Stripe events", exact=True).click()
            expect(page.get_by_text("It may be restarting.")).to_be_visible()
            parts.start("api", "api")
            expect(page.get_by_text("No Stripe events yet")).to_be_visible(timeout=40_000)
            expect(away).to_be_hidden()
