"""A person with a browser at the sandbox's pages, without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.contract.client import Api
from tests.contract.purchases import pay
from tests.contract.receiver import Receiver, receiving
from tests.servers import ROOT, receiver, sandbox, wait_until

pytestmark = pytest.mark.browser
KEY = "sk_test_browser_0123456789"
# WCAG 2 AA for text of normal size.
LEAST_CONTRAST = 4.5


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with sandbox() as address:
        yield address


@pytest.fixture
def api(url: str) -> Api:
    return Api(url, KEY)


@pytest.fixture
def shop() -> Iterator[Receiver]:
    """Run a shop: the page to which a payer returns, and the target of its webhooks."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def checkout(api: Api, shop: Receiver) -> Iterator[Any]:
    """Open checkouts, and receive their webhooks; `secret` verifies them."""
    endpoint = api.make(
        "/v1/webhook_endpoints", {"url": shop.url + "/hook", "enabled_events[]": "*"}
    )

    def make(*types: str, currency: str = "eur", name: str = "Seat, row 7") -> dict[str, Any]:
        form = {
            "mode": "payment",
            "success_url": shop.url + "/thanks?session={CHECKOUT_SESSION_ID}",
            "cancel_url": shop.url + "/basket",
            "line_items[0][price_data][currency]": currency,
            "line_items[0][price_data][unit_amount]": 4500,
            "line_items[0][price_data][product_data][name]": name,
            "line_items[0][quantity]": 2,
        }
        pairs = [("payment_method_types[]", kind) for kind in types or ("card",)]
        session = api.make("/v1/checkout/sessions", [*form.items(), *pairs])
        return session | {"secret": endpoint["secret"]}

    yield make
    api.delete(f"/v1/webhook_endpoints/{endpoint['id']}")


def choose(page: Page, test_card: str) -> None:
    """Pay with one of the offered cards."""
    page.get_by_label("Test card").select_option(test_card)
    page.get_by_role("button", name="with the test card").click()


def enter(page: Page, number: str, expiry: str = "12 / 34") -> None:
    """Type a card and pay with it."""
    page.get_by_label("Email").first.fill("jenny@example.com")
    page.get_by_label("Name").first.fill("Jenny Rosen")
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiry").fill(expiry)
    page.get_by_label("CVC").fill("123")
    page.get_by_role("button", name="Pay €90.00", exact=True).click()


def test_a_person_pays_with_3d_secure_and_the_shop_is_told(
    page: Page, api: Api, checkout: Any, shop: Receiver
) -> None:
    session = checkout()
    page.goto(session["url"])
    expect(page.get_by_text("Simulated — no real money")).to_be_visible()
    expect(page.get_by_text("€90.00 EUR")).to_be_visible()
    choose(page, "pm_card_threeDSecure2Required")
    expect(page.get_by_role("heading", name="Your bank wants to know it is you")).to_be_visible()
    page.get_by_role("button", name="Complete authentication").click()
    expect(page.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query) == {"session": [session["id"]]}
    complete_session = api.find(f"/v1/checkout/sessions/{session['id']}")
    assert (complete_session["status"], complete_session["payment_status"]) == ("complete", "paid")
    text = wait_until(
        lambda: [d for d in shop.deliveries if d.event["type"] == "checkout.session.completed"],
        "the shop to be told",
    )
    assert text[0].verified_by(session["secret"]).data.object["id"] == session["id"]


def test_a_failed_challenge_leads_back_to_another_try(page: Page, api: Api, checkout: Any) -> None:
    session = checkout()
    for button in ("Fail authentication", "Cancel and go back"):
        page.goto(session["url"])
        choose(page, "pm_card_threeDSecure2Required")
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("alert")).to_contain_text("failed authentication")
    choose(page, "pm_card_visa")
    expect(page.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert api.find(f"/v1/checkout/sessions/{session['id']}")["payment_status"] == "paid"


def test_a_typed_card_pays_and_its_number_is_nowhere(
    page: Page, api: Api, url: str, checkout: Any
) -> None:
    session = checkout()
    page.goto(session["url"])
    enter(page, "4000 0000 0000 0002")
    expect(page.get_by_role("alert")).to_contain_text("Your card was declined.")
    assert page.get_by_label("Email").first.input_value() == "jenny@example.com"
    assert page.get_by_label("Card number").input_value() == ""
    assert "4000000000000002" not in page.content().replace(" ", "")
    enter(page, "5555555555554444")
    expect(page.get_by_role("heading", name="Back in the shop")).to_be_visible()
    complete_session = api.find(
        f"/v1/checkout/sessions/{session['id']}", {"expand[]": "payment_intent.payment_method"}
    )
    method = complete_session["payment_intent"]["payment_method"]
    assert (method["card"]["brand"], method["card"]["last4"]) == ("mastercard", "4444")
    assert method["billing_details"]["email"] == "jenny@example.com"
    page.goto(f"{url}/payments/{complete_session['payment_intent']['id']}")
    assert "5555555555554444" not in page.content()


@pytest.mark.parametrize(
    ("number", "expiry", "message"),
    [
        ("4242 4242 4242 4241", "12 / 34", "card number is incorrect"),
        ("4242 4242 4242 4242", "12 / 20", "expiration year is invalid"),
        ("4242 4242 4242 4242", "soon", "month and year"),
    ],
    ids=["number", "year", "no date"],
)
def test_a_mistyped_card_is_explained(
    page: Page, checkout: Any, number: str, expiry: str, message: str
) -> None:
    page.goto(checkout()["url"])
    enter(page, number, expiry)
    expect(page.get_by_role("alert")).to_contain_text(message)


def test_a_debit_is_paid_after_the_person_left(page: Page, api: Api, checkout: Any) -> None:
    session = checkout("card", "sepa_debit")
    page.goto(session["url"])
    form = page.locator("form", has=page.get_by_label("IBAN"))
    form.get_by_label("Email").fill("jenny@example.com")
    form.get_by_label("Name").fill("Jenny Rosen")
    form.get_by_label("IBAN").fill("AT61 1904 3002 3457 3201")
    form.get_by_role("button", name="Debit €90.00").click()
    expect(page.get_by_role("heading", name="Back in the shop")).to_be_visible()
    path = f"/v1/checkout/sessions/{session['id']}"
    assert api.find(path)["payment_status"] == "unpaid"
    wait_until(lambda: api.find(path)["payment_status"] == "paid", "the debit to be paid")


def test_a_person_can_leave_without_paying(page: Page, api: Api, checkout: Any) -> None:
    session = checkout()
    page.goto(session["url"])
    page.get_by_role("link", name="Cancel and go back to the shop").click()
    expect(page.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert api.find(f"/v1/checkout/sessions/{session['id']}")["status"] == "open"


def test_a_keyboard_is_enough(page: Page, api: Api, checkout: Any) -> None:
    session = checkout()
    page.goto(session["url"])
    page.get_by_label("Test card").focus()
    page.keyboard.type("3D Secure: asks")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your bank wants to know it is you")).to_be_visible()
    for _ in range(2):  # past the link that skips to the content
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert api.find(f"/v1/checkout/sessions/{session['id']}")["status"] == "complete"


def test_a_finished_checkout_cannot_be_paid_again(page: Page, checkout: Any) -> None:
    session = checkout()
    page.goto(session["url"])
    choose(page, "pm_card_visa")
    page.goto(session["url"])
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)


def test_the_dashboard_disputes_a_payment(page: Page, api: Api, url: str) -> None:
    intent = pay(api, description="Programme")
    page.goto(url)
    page.get_by_role("link", name=intent["id"]).click()
    expect(page.get_by_text("Programme", exact=True)).to_be_visible()
    page.get_by_label("What the cardholder does").select_option("chargeback")
    page.get_by_role("button", name="Dispute this payment").click()
    expect(page.get_by_role("status")).to_contain_text("disputed")
    [dispute] = api.find("/v1/disputes", {"payment_intent": intent["id"]})["data"]
    expect(page.get_by_text(dispute["id"]).first).to_be_visible()


def test_the_dashboard_fails_a_refund(page: Page, api: Api, url: str) -> None:
    intent = pay(api)
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"], "amount": 500})
    page.goto(f"{url}/payments/{intent['id']}")
    page.get_by_role("button", name="Fail this refund").click()
    expect(page.get_by_role("status")).to_contain_text("failed")
    assert api.find(f"/v1/refunds/{refund['id']}")["status"] == "failed"
    expect(page.get_by_role("button", name="Fail this refund")).to_have_count(0)


def test_the_dashboard_sends_an_event_again(
    page: Page, api: Api, url: str, checkout: Any, shop: Receiver
) -> None:
    intent = pay(api)["id"]
    wait_until(lambda: "payment_intent.succeeded" in shop.types(intent), "the event")
    page.goto(f"{url}/payments/{intent}")
    page.get_by_role("link", name="payment_intent.succeeded").click()
    page.locator("section").get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("will be sent again")
    wait_until(lambda: shop.types(intent).count("payment_intent.succeeded") == 2, "the event again")
    page.get_by_role("link", name="Deliveries").click()
    expect(page.get_by_role("link", name="payment_intent.succeeded").first).to_be_visible()


def test_a_waiting_challenge_is_answered_from_the_dashboard(page: Page, api: Api, url: str) -> None:
    intent = pay(api, "pm_card_threeDSecure2Required")["id"]
    page.goto(f"{url}/payments/{intent}")
    page.get_by_role("link", name="Answer the 3D Secure challenge").click()
    page.get_by_role("button", name="Complete authentication").click()
    expect(page.get_by_role("heading", name="Nothing to authenticate")).to_be_visible()
    assert api.find(f"/v1/payment_intents/{intent}")["status"] == "succeeded"


def test_a_receipt_can_be_read(page: Page, api: Api) -> None:
    intent = pay(api, description="Programme", **{"expand[]": "latest_charge"})
    page.goto(intent["latest_charge"]["receipt_url"])
    expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
    expect(page.get_by_text("$20.00 USD")).to_be_visible()


def test_what_people_wrote_is_shown_and_never_run(
    browser: Browser, api: Api, url: str, checkout: Any
) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    intent = pay(api, description=attack, **{f"metadata[{attack[:40]}]": attack})["id"]
    session = checkout(name=attack)
    context = browser.new_context()  # with JavaScript, so that a script in the page would run
    window = context.new_page()
    for address in (url, f"{url}/payments/{intent}", f"{url}/events", session["url"]):
        window.goto(address)
        assert "owned" not in window.title()
        assert window.locator("script, img").count() == 0
    expect(window.get_by_text("onerror=").first).to_be_visible()
    context.close()


def test_another_site_cannot_press_the_buttons(page: Page, api: Api, url: str) -> None:
    intent = pay(api)
    target = f"{url}/charges/{intent['latest_charge']}/dispute"
    page.set_content(
        f'<form method="post" action="{target}"><button name="kind" value="chargeback">x</button>'
    )
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Refused")).to_be_visible()
    for headers in (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        answer = requests.post(target, data={"kind": "chargeback"}, headers=headers, timeout=10)
        assert answer.status_code == 403
    assert api.find("/v1/disputes", {"payment_intent": intent["id"]})["data"] == []


def test_every_page_says_that_it_is_simulated(
    page: Page, api: Api, url: str, checkout: Any
) -> None:
    intent = pay(api)["id"]
    for path in ("/", "/events", "/deliveries", f"/payments/{intent}", "/payments/pi_nope"):
        page.goto(url + path)
        expect(page.get_by_text("Simulated — no real money")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert page.locator("html").get_attribute("lang") == "en"


def test_every_field_has_a_label(page: Page, checkout: Any) -> None:
    page.goto(checkout("card", "sepa_debit")["url"])
    for field in page.locator("input:not([type=hidden]), select").all():
        name = field.get_attribute("id")
        expect(page.locator(f'label[for="{name}"]')).to_have_count(1)


def test_text_stands_out_from_its_ground() -> None:
    style = (ROOT / "sandbox/pages/style.css").read_text()
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", style))
    pairs = [("ink", "paper"), ("ink", "ground"), ("soft", "paper"), ("soft", "ground")]
    pairs += [(name, f"{name}-ground") for name in ("good", "bad", "wait")]
    pairs += [("accent-ink", "accent"), ("accent", "paper"), ("accent", "ground"), ("bad", "paper")]
    weak = {pair: contrast(*(colours[name] for name in pair)) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < LEAST_CONTRAST} == {}


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_receivers_page_fits(browser: Browser, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    with receiver() as url:
        data = {"payment_intent_id": "pi_" + "3" * 24}
        note = {"type": "dispute.funds_withdrawn", "id": "ntf_" + "a" * 32, "data": data}
        requests.post(f"{url}/x", json=note, timeout=10).raise_for_status()
        window = context.new_page()
        window.goto(url)
        expect(window.get_by_text("dispute.funds_withdrawn")).to_be_visible()
        assert window.evaluate("document.documentElement.scrollWidth") <= width
        assert window.locator("html").get_attribute("lang") == "en"
    context.close()
