"""The amounts in `GET`, from Stripe and from stored data; and cancelling a payment."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from shared.errors import CallerError, Unavailable
from shared.refund_metadata import FIELD
from shared.settings import Settings
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.money import LONG_AGO, alone, charge, dispute, event, intent, refund

Json = dict[str, Any]
KEY = {"Authorization": "Bearer sk_test_tests_0123456789"}
FEES = ("fee", "net", "settlement_currency", "available_on")


def at_stripe(hands: Hands, path: str, account: str | None = None, **form: Any) -> Json:
    headers = KEY | ({"Stripe-Account": account} if account else {})
    answer = requests.post(f"{hands.sandbox}{path}", data=form, headers=headers, timeout=5)
    answer.raise_for_status()
    result: Json = answer.json()
    return result


def hold_money(hands: Hands, **form: Any) -> str:
    calls = {
        "amount": 2000,
        "currency": "sgd",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "capture_method": "manual",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    return str(at_stripe(hands, "/v1/payment_intents", **(calls | form))["id"])


def wait_for_stripe(hands: Hands, seconds: int = 20) -> None:
    url = f"{hands.sandbox}/_sandbox/clock"
    requests.post(url, json={"advance_seconds": seconds}, timeout=5).raise_for_status()


def fault(hands: Hands, path: str, **more: Any) -> None:
    match = {"method": "GET", "path_prefix": path}
    hands.break_stripe(**({"match": match, "kind": "error", "status": 403, "times": None} | more))


def payment_details(hands: Hands, payment: str, **headers: str) -> Json:
    answer = hands.client.get(f"/api/payment/{payment}", headers=headers)
    assert answer.status_code == 200, answer.get_json()
    body: Json = answer.get_json()
    return body


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make Stripe unreachable from now on."""

    def begin() -> None:
        def fail(*_: object, **__: object) -> Json:
            raise Unavailable("Stripe did not answer.", code="stripe_unreachable")

        for name in ("payment", "charge", "refunds_of", "disputes_of"):
            monkeypatch.setattr(StripeGateway, name, fail)

    return begin


TIMES = ("stale", "as_of", "timeline", "client_secret", "receipt_url", "attempts")


def same(first: Json, second: Json) -> None:
    """Compare the stored state with Stripe's answer, except for fields that only Stripe has."""
    assert second["stale"]
    assert not first["stale"]
    both: list[Json] = [{k: v for k, v in one.items() if k not in TIMES} for one in (first, second)]
    for one in both:
        for part in one["refunds"]:
            # The fee of a refund is in its notification only; it is not stored.
            for name in FEES:
                part.pop(name)
    assert both[0] == both[1]


def test_a_partial_capture_is_shown_alike_by_stripe_and_from_memory(
    hands: Hands, unreachable: Any
) -> None:
    payment = hold_money(hands)
    at_stripe(hands, f"/v1/payment_intents/{payment}/capture", amount_to_capture=1500)
    at_stripe(hands, "/v1/refunds", payment_intent=payment, amount=300)
    wait_for_stripe(hands)
    hands.deliver_events()
    hands.work()
    first = payment_details(hands, payment)
    names = ("amount", "amount_received", "amount_capturable", "amount_refunded")
    assert [first[name] for name in names] == [2000, 1500, 0, 300]
    assert first["net"] == pytest.approx(first["net"])
    assert first["fee"] > 0
    unreachable()
    same(first, payment_details(hands, payment))


@pytest.mark.parametrize("reason", [None, "abandoned"])
def test_a_canceled_hold_shows_no_refund(
    hands: Hands, unreachable: Any, reason: str | None
) -> None:
    payment = hold_money(hands)
    assert payment_details(hands, payment)["amount_capturable"] == 2000
    form = {"cancellation_reason": reason} if reason else {}
    at_stripe(hands, f"/v1/payment_intents/{payment}/cancel", **form)
    hands.deliver_events()
    hands.work()
    first = payment_details(hands, payment)
    assert (first["amount_received"], first["amount_refunded"]) == (0, 0)
    assert (first["cancellation_reason"], first["refunds"]) == (reason, [])
    unreachable()
    same(first, payment_details(hands, payment))


def test_a_hold_that_an_old_version_counts_as_refunded_is_not(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = charge(captured=False, amount_captured=0, refunded=True, amount_refunded=2000)
    canceled = intent(status="canceled", latest_charge=let_go, livemode=False)
    old = refund(amount=2000, reason="expired_uncaptured_charge")
    monkeypatch.setattr(StripeGateway, "payment", lambda *_, **__: canceled)
    monkeypatch.setattr(StripeGateway, "refunds_of", lambda *_, **__: [old])
    assert payment_details(hands, "pi_1")["amount_refunded"] == 0
    verdict = hands.client.post("/api/payment/verify", json={"payment_intent_id": "pi_1"})
    assert verdict.get_json()["amount_refunded"] == 0


def test_disputes_are_shown_with_what_they_moved(hands: Hands, unreachable: Any) -> None:
    payment = hands.pay("pm_card_createDispute").get_json()["payment_intent_id"]
    wait_for_stripe(hands)
    hands.deliver_events()
    hands.work()
    first = payment_details(hands, payment)
    (shown_dispute,) = first["disputes"]
    assert first["disputed"] is True
    assert (shown_dispute["status"], shown_dispute["reason"]) == ("needs_response", "fraudulent")
    assert (shown_dispute["amount"], shown_dispute["currency"]) == (1000, "sgd")
    assert shown_dispute["due_by"].endswith("Z")
    assert shown_dispute["net"] < 0 < shown_dispute["fee"]
    unreachable()
    same(first, payment_details(hands, payment))


@pytest.mark.parametrize("path", ["/v1/refunds", "/v1/disputes"])
def test_what_our_key_may_not_list_is_shown_as_events_told_it(hands: Hands, path: str) -> None:
    payment = hands.pay("pm_card_createDispute").get_json()["payment_intent_id"]
    wait_for_stripe(hands)
    hands.deliver_events()
    hands.work()
    before = payment_details(hands, payment)
    fault(hands, path)
    after = payment_details(hands, payment)
    assert after["disputes"] == before["disputes"] != []
    assert after["refunds"] == before["refunds"]


def test_fees_that_our_key_may_not_read_are_null(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = StripeGateway._payment

    def refuse(gateway: StripeGateway, name: str, account: str | None, expand: list[str]) -> Json:
        if expand:
            raise CallerError("No.", status=403, code="account_invalid")
        return read(gateway, name, account, expand)

    monkeypatch.setattr(StripeGateway, "_payment", refuse)
    payment = hands.pay().get_json()["payment_intent_id"]
    assert [payment_details(hands, payment)[name] for name in FEES] == [None] * 4


def test_a_payment_that_is_a_charge_alone_is_shown_verified_and_refunded(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, unreachable: Any
) -> None:
    alone(monkeypatch)
    payment = charge(payment_intent=None, created=LONG_AGO, livemode=False, amount_captured=1200)
    monkeypatch.setattr(StripeGateway, "charge", lambda *_: payment)
    monkeypatch.setattr(StripeGateway, "refunds_of", lambda *_, **__: [])
    calls: list[Json] = []

    def create(_: object, *, params: Json, **__: object) -> Json:
        calls.append(params)
        return refund(payment_intent=None)

    monkeypatch.setattr(StripeGateway, "create_refund", create)
    hands.post_event(event("charge.captured", payment))
    hands.work()
    first = payment_details(hands, "ch_1")
    assert (first["payment_intent_id"], first["charge_id"]) == (None, "ch_1")
    assert (first["status"], first["amount_received"]) == ("succeeded", 1200)
    body = {"payment_intent_id": "ch_1", "expected_amount": 1200}
    assert hands.client.post("/api/payment/verify", json=body).get_json()["verified"] is True
    answer = hands.client.post("/api/refund/process", json={"payment_intent_id": "ch_1"})
    assert answer.status_code == 202
    hands.work()
    metadata = {FIELD: answer.get_json()["refund_request_id"]}
    assert calls == [{"charge": "ch_1", "metadata": metadata}]
    payment["amount_refunded"] = 700
    refunds = [refund(payment_intent=None, metadata=metadata)]
    monkeypatch.setattr(StripeGateway, "refunds_of", lambda *_, **__: refunds)
    first = payment_details(hands, "ch_1")
    assert first["amount_refunded"] == 700
    unreachable()
    same(first, payment_details(hands, "ch_1"))


def test_a_charge_leads_to_the_payment_it_belongs_to(hands: Hands) -> None:
    payment = hands.pay().get_json()
    payment_shown = payment_details(hands, payment["charge_id"])
    assert payment_shown["payment_intent_id"] == payment["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    assert payment_details(hands, payment["charge_id"])["timeline"] != []
    job = hands.client.post("/api/refund/process", json={"payment_intent_id": payment["charge_id"]})
    hands.work()
    refunded = hands.client.get(job.headers["Location"]).get_json()
    assert (refunded["status"], refunded["payment_intent_id"]) == (
        "succeeded",
        payment["payment_intent_id"],
    )


def test_a_dispute_without_an_intent_is_in_the_payment_of_its_charge(hands: Hands) -> None:
    payment = hands.pay().get_json()
    hands.deliver_events()
    of_charge = dispute(charge=payment["charge_id"], payment_intent=None)
    hands.post_event(event("charge.dispute.created", of_charge))
    hands.work()
    (notification,) = [n for n in hands.notifications() if n["type"] == "dispute.opened"]
    assert notification["body"]["data"]["payment_intent_id"] == payment["payment_intent_id"]


# Cancelling a payment.


def cancel(hands: Hands, payment: str, key: str | None = None, **options: Any) -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return hands.client.post(f"/api/payment/{payment}/cancel", headers=headers, **options)


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"json": {"reason": "abandoned"}}])
def test_a_payment_that_waits_for_its_customer_can_be_let_go(hands: Hands, options: Json) -> None:
    payment = hands.pay("pm_card_threeDSecure2Required").get_json()["payment_intent_id"]
    answer = cancel(hands, payment, **options)
    body = answer.get_json()
    reason = options.get("json", {}).get("reason")
    assert (answer.status_code, body["status"]) == (200, "canceled")
    assert (body["cancellation_reason"], body["amount_received"]) == (reason, 0)
    confirm = f"{hands.sandbox}/v1/payment_intents/{payment}/confirm"
    assert requests.post(confirm, headers=KEY, timeout=5).status_code == 400

    hands.deliver_events()
    hands.work()
    (notification,) = [n["body"] for n in hands.notifications() if n["type"] == "payment.canceled"]
    assert notification["data"]["cancellation_reason"] == reason
    kinds = [entry["kind"] for entry in payment_details(hands, payment)["timeline"]]
    assert "payment_cancel_requested" in kinds


def test_a_hold_is_released_when_its_payment_is_let_go(hands: Hands) -> None:
    payment = hold_money(hands)
    assert cancel(hands, payment).get_json()["status"] == "canceled"
    after = payment_details(hands, payment)
    assert (after["amount_capturable"], after["amount_refunded"]) == (0, 0)


@pytest.mark.parametrize("key", ["k", None])
def test_letting_a_payment_go_twice_is_as_once(hands: Hands, key: str | None) -> None:
    payment = hands.pay("pm_card_threeDSecure2Required").get_json()["payment_intent_id"]
    answers = [cancel(hands, payment, key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].get_json() == answers[1].get_json()
    assert ("Idempotent-Replayed" in answers[1].headers) == (key is not None)


def test_a_payment_that_succeeded_meanwhile_is_told_as_it_is(hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    for _ in range(2):
        answer = cancel(hands, payment, "k")
        problem = answer.get_json()
        assert (answer.status_code, problem["code"]) == (409, "payment_not_cancelable")
        assert (problem["payment_status"], problem["amount_received"]) == ("succeeded", 1000)
    assert payment_details(hands, payment)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("payment", "options", "status", "code"),
    [
        ("pi_3nobody", {}, 404, "resource_missing"),
        ("ch_1", {}, 404, "payment_not_found"),
        ("x", {}, 404, "payment_not_found"),
        ("pi_1", {"json": {"reason": "rain"}}, 422, "invalid_parameter"),
        ("pi_1", {"json": {"why": "rain"}}, 422, "invalid_parameter"),
        ("pi_1", {"json": []}, 400, "invalid_json"),
        ("pi_1", {"data": "reason=x"}, 415, "unsupported_media_type"),
    ],
)
def test_what_cannot_be_let_go_is_refused(
    hands: Hands, payment: str, options: Json, status: int, code: str
) -> None:
    answer = cancel(hands, payment, **options)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


# Connect.

ACCOUNT = "acct_1Seller"


def paid_for(hands: Hands, account: str) -> str:
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    answer = hands.client.post(
        "/api/payment/process", json=body, headers={"Stripe-Account": account}
    )
    return str(answer.get_json()["payment_intent_id"])


def test_a_payment_made_for_an_account_is_found_and_refunded_without_naming_it(
    hands: Hands,
) -> None:
    payment = paid_for(hands, ACCOUNT)
    assert payment_details(hands, payment)["account"] == ACCOUNT
    verdict = hands.client.post("/api/payment/verify", json={"payment_intent_id": payment})
    assert verdict.get_json()["verified"] is True
    answer = hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    hands.work()
    one_refund = hands.client.get(answer.headers["Location"]).get_json()
    assert (one_refund["status"], one_refund["account"]) == ("succeeded", ACCOUNT)
    by_stripes_id = hands.client.get(f"/api/refund/{one_refund['refund_id']}").get_json()
    assert by_stripes_id == one_refund


def test_a_payment_of_our_own_is_found_although_it_is_marked_as_made_here(
    hands: Hands, settings: Settings, real_store: Store
) -> None:
    """Our own account has no name at Stripe; the mark is made where others' are told apart."""
    hands.client = open_door(settings.model_copy(update={"others_payments": "list"}), real_store)
    payment = hands.pay().get_json()["payment_intent_id"]
    assert hands.runtime.payments.made_here(payment)
    body = {"payment_intent_id": payment}
    assert hands.client.post("/api/payment/verify", json=body).get_json()["verified"] is True
    assert payment_details(hands, payment)["account"] is None


def test_an_account_is_known_by_its_events(hands: Hands) -> None:
    calls = {
        "amount": 1000,
        "currency": "sgd",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    payment = at_stripe(hands, "/v1/payment_intents", ACCOUNT, **calls)
    notification = event(
        "payment_intent.succeeded", payment | {"latest_charge": None}, account=ACCOUNT
    )
    hands.post_event(notification)
    hands.work()
    assert payment_details(hands, payment["id"])["account"] == ACCOUNT
    (body,) = [item["body"] for item in hands.notifications()]
    assert body["data"]["account"] == ACCOUNT


def test_what_connect_wants_is_handed_to_stripe(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Json] = []

    def create(_: object, *, params: Json, **__: object) -> Json:
        calls.append(params)
        one_intent = intent(amount_received=1000, livemode=False)
        return one_intent | {"latest_charge": charge()}

    monkeypatch.setattr(StripeGateway, "create_payment", create)
    monkeypatch.setattr(
        StripeGateway, "create_refund", lambda _, *, params, **__: calls.append(params) or refund()
    )
    connect: Json = {
        "application_fee_amount": 100,
        "transfer_data": {"destination": ACCOUNT},
        "on_behalf_of": ACCOUNT,
    }
    assert hands.pay(**connect).status_code == 200
    back = {"reverse_transfer": True, "refund_application_fee": False}
    body = {"payment_intent_id": "pi_1"} | back
    answer = hands.client.post("/api/refund/process", json=body)
    assert answer.status_code == 202
    hands.work()
    assert {name: calls[0][name] for name in connect} == connect
    metadata = {FIELD: answer.get_json()["refund_request_id"]}
    assert calls[1] == {"payment_intent": "pi_1", "metadata": metadata} | back


@pytest.mark.parametrize(
    "wrong",
    [
        {"application_fee_amount": 0},
        {"transfer_data": {"destination": "x"}},
        {"transfer_data": {}},
        {"on_behalf_of": "acct"},
    ],
)
def test_what_connect_cannot_take_is_refused(hands: Hands, wrong: Json) -> None:
    assert hands.pay(**wrong).status_code == 422


# Refunds.


@pytest.mark.parametrize("event_came", [True, False])
@pytest.mark.parametrize(("currency", "status"), [("SGD", "succeeded"), ("usd", "failed")])
def test_a_refund_in_another_currency_than_expected_is_not_made(
    hands: Hands, event_came: bool, currency: str, status: str
) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    if event_came:
        hands.deliver_events()
        hands.work()
    body = {"payment_intent_id": payment, "expected_currency": currency}
    answer = hands.client.post("/api/refund/process", json=body)
    hands.work()
    one_refund = hands.client.get(answer.headers["Location"]).get_json()
    assert (one_refund["status"], one_refund["currency"]) == (status, "sgd")
    assert one_refund["failure_reason"] == (None if status == "succeeded" else "currency_mismatch")


def test_a_refund_that_waits_for_balance_is_shown_as_pending(hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    match = {"method": "POST", "path_prefix": "/v1/refunds"}
    refusal = {"kind": "error", "status": 400, "code": "balance_insufficient", "times": None}
    hands.break_stripe(match=match, **refusal)
    answer = hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    hands.ring()
    waits = hands.client.get(answer.headers["Location"]).get_json()
    assert (waits["status"], waits["pending_reason"]) == ("pending", "insufficient_funds")
    assert (waits["amount"], waits["currency"]) == (1000, "sgd")
    assert waits["failure_reason"] == "balance_insufficient"
    assert waits["failure_message"]


def test_a_cancellation_that_races_the_customers_payment_tells_the_truth(hands: Hands) -> None:
    notification = set()
    for number in range(12):
        calls = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
        flags = {"automatic_payment_methods[enabled]": "true"}
        never = {"automatic_payment_methods[allow_redirects]": "never"}
        payment = str(at_stripe(hands, "/v1/payment_intents", **calls, **flags, **never)["id"])
        confirm = f"{hands.sandbox}/v1/payment_intents/{payment}/confirm"

        def pay(url: str = confirm, pause: float = 0.004 * (number % 4)) -> None:
            time.sleep(pause)
            requests.post(url, headers=KEY, timeout=5)

        customer = Thread(target=pay)
        customer.start()
        answer = cancel(hands, payment)
        customer.join()
        status = payment_details(hands, payment)["status"]
        notification.add((answer.status_code, status))
    assert notification <= {(200, "canceled"), (409, "succeeded")}
