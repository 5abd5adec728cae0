"""Changes some time after a payment: debits, refunds, disputes, checkouts."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.intents import challenges
from sandbox.objects import refunds
from sandbox.world.errors import StripeError
from tests.unit.sandbox.worlds import Bench

REFUND_NEWS = ["refund.updated", "charge.refund.updated"]


def debit(bench: Bench, iban: str) -> Any:
    method = bench.call(
        "POST", "/v1/payment_methods", {"type": "sepa_debit", "sepa_debit": {"iban": iban}}
    )
    return bench.pay(method["id"], currency="eur")


def refunded(bench: Bench, card: str = "pm_card_visa", **more: str) -> Any:
    intent = bench.pay(card)
    return bench.call("POST", "/v1/refunds", {"payment_intent": intent["id"], **more})


def test_an_event_shows_its_object_as_it_was(bench: Bench) -> None:
    refunded(bench)
    assert bench.event("charge.succeeded")["data"]["object"]["refunded"] is False
    assert bench.event("charge.refunded")["data"]["object"]["refunded"] is True


@pytest.mark.parametrize(
    ("iban", "seconds", "status"),
    [
        ("AT611904300234573201", 2, "succeeded"),
        ("AT861904300235473202", 2, "requires_payment_method"),
        ("AT321904300235473204", 180, "succeeded"),
        ("AT051904300235473205", 180, "requires_payment_method"),
    ],
)
def test_a_debit_is_decided_days_later(bench: Bench, iban: str, seconds: int, status: str) -> None:
    intent = debit(bench, iban)
    bench.world.advance(seconds - 1)
    assert intent["status"] == "processing"
    bench.world.advance(1)
    assert intent["status"] == status


def test_a_canceled_debit_is_not_collected(bench: Bench) -> None:
    intent = debit(bench, "AT611904300234573201")
    bench.call("POST", f"/v1/payment_intents/{intent['id']}/cancel")
    bench.world.advance(600)
    assert intent["status"] == "canceled"
    assert "payment_intent.succeeded" not in bench.events


def test_an_ordinary_refund_gets_its_reference_later(bench: Bench) -> None:
    refund = refunded(bench)
    assert refund["status"] == "succeeded"
    assert bench.events[-2:] == ["charge.refunded", "refund.created"]
    bench.world.advance(3)
    assert refund["destination_details"]["card"]["reference_status"] == "available"
    assert bench.events[-2:] == REFUND_NEWS


def test_a_pending_refund_succeeds_later(bench: Bench) -> None:
    refund = refunded(bench, "pm_card_pendingRefund")
    assert refund["status"] == "pending"
    bench.world.advance(5)
    assert refund["status"] == "succeeded"
    assert bench.events[-2:] == REFUND_NEWS


def test_a_failed_refund_gives_the_charge_its_money_back(bench: Bench) -> None:
    refund = refunded(bench, "pm_card_refundFail", amount="500")
    charge = bench.call("GET", f"/v1/charges/{refund['charge']}")
    assert charge["amount_refunded"] == 500
    bench.world.advance(5)
    assert (refund["status"], charge["amount_refunded"]) == ("failed", 0)
    assert bench.events[-3:] == ["refund.failed", *REFUND_NEWS]


def test_the_rest_can_be_refunded_after_a_failure(bench: Bench) -> None:
    refund = refunded(bench)
    refunds.fail(bench.world.scope(), refund)
    again = bench.call("POST", "/v1/refunds", {"charge": refund["charge"]})
    assert again["amount"] == 2000


def test_a_chargeback_takes_the_money_and_its_fee(bench: Bench) -> None:
    bench.pay("pm_card_createDispute")
    dispute = bench.event("charge.dispute.created")["data"]["object"]
    (withdrawal,) = dispute["balance_transactions"]
    assert (withdrawal["amount"], withdrawal["fee"], withdrawal["net"]) == (-2000, 1500, -3500)
    assert bench.events[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    with pytest.raises(StripeError) as refusal:
        bench.call("POST", "/v1/refunds", {"charge": dispute["charge"]})
    assert refusal.value.error["code"] == "charge_disputed"


def test_a_won_dispute_brings_all_of_it_back(bench: Bench) -> None:
    bench.pay("pm_card_createDispute")
    path = f"/v1/disputes/{bench.event('charge.dispute.created')['data']['object']['id']}"
    evidence = {"evidence": {"uncategorized_text": "winning_evidence"}}
    assert bench.call("POST", path, evidence)["status"] == "under_review"
    bench.world.advance(2)
    dispute = bench.call("GET", path)
    assert dispute["status"] == "won"
    withdrawal, return_ = dispute["balance_transactions"]
    assert withdrawal["net"] + return_["net"] == 0
    assert return_["reporting_category"] == "dispute_reversal"
    assert "charge.dispute.funds_reinstated" in bench.events


def test_refunding_settles_an_inquiry(bench: Bench) -> None:
    intent = bench.pay("pm_card_createDisputeInquiry")
    bench.call("POST", "/v1/refunds", {"payment_intent": intent["id"]})
    dispute = bench.call("GET", "/v1/disputes", {"payment_intent": intent["id"]})["data"][0]
    assert dispute["status"] == "warning_closed"
    assert "charge.dispute.closed" in bench.events


def test_a_fraud_warning_is_settled_by_a_refund(bench: Bench) -> None:
    refunded(bench, "pm_card_createIssuerFraudRecord")
    assert "radar.early_fraud_warning.created" in bench.events
    warning = bench.event("radar.early_fraud_warning.updated")["data"]
    assert warning["previous_attributes"] == {"actionable": True}


def checkout(bench: Bench, currency: str = "usd") -> Any:
    item = {
        "price_data": {
            "currency": currency,
            "unit_amount": "700",
            "product_data": {"name": "Seat"},
        },
        "quantity": "2",
    }
    form = {"mode": "payment", "success_url": "https://shop.test/{CHECKOUT_SESSION_ID}"}
    return bench.call("POST", "/v1/checkout/sessions", form | {"line_items": [item]})


def test_a_checkout_completes_when_its_challenge_does(bench: Bench) -> None:
    session = checkout(bench)
    paying = {"payment_method": "pm_card_threeDSecure2Required", "expected_amount": "1400"}
    page = bench.call("POST", f"/v1/payment_pages/{session['id']}/confirm", paying)
    assert (session["status"], page["payment_intent"]["status"]) == ("open", "requires_action")
    challenges.answer(bench.world, page["payment_intent"]["id"], challenges.COMPLETE)
    assert (session["status"], session["payment_status"]) == ("complete", "paid")
    assert bench.events[-1] == "checkout.session.completed"


def test_a_second_try_pays_the_same_intent(bench: Bench) -> None:
    session = checkout(bench)
    path = f"/v1/payment_pages/{session['id']}/confirm"
    declined = {"payment_method": "pm_card_chargeDeclined", "expected_amount": "1400"}
    with pytest.raises(StripeError):
        bench.call("POST", path, declined)
    first = session["payment_intent"]
    bench.call("POST", path, declined | {"payment_method": "pm_card_visa"})
    assert session["payment_intent"] == first
    assert bench.events.count("payment_intent.created") == 1


@pytest.mark.parametrize(
    ("iban", "outcome", "payment_status"),
    [
        ("AT611904300234573201", "async_payment_succeeded", "paid"),
        ("AT861904300235473202", "async_payment_failed", "unpaid"),
    ],
)
def test_a_checkout_by_debit_is_complete_before_it_is_paid(
    bench: Bench, iban: str, outcome: str, payment_status: str
) -> None:
    session = checkout(bench, "eur")
    method = bench.call(
        "POST", "/v1/payment_methods", {"type": "sepa_debit", "sepa_debit": {"iban": iban}}
    )
    paying = {"payment_method": method["id"], "expected_amount": "1400"}
    bench.call("POST", f"/v1/payment_pages/{session['id']}/confirm", paying)
    assert (session["status"], session["payment_status"]) == ("complete", "unpaid")
    bench.world.advance(2)
    assert session["payment_status"] == payment_status
    assert bench.events[-1] == f"checkout.session.{outcome}"


def test_an_open_checkout_expires_after_a_day(bench: Bench) -> None:
    session = checkout(bench)
    bench.world.advance(24 * 3600 - 10)
    assert session["status"] == "open"
    bench.world.advance(10)
    assert session["status"] == "expired"


def test_a_manual_confirmation_waits_for_the_server(bench: Bench) -> None:
    intent = bench.pay("pm_card_threeDSecure2Required", confirmation_method="manual")
    challenges.answer(bench.world, intent["id"], challenges.COMPLETE)
    assert intent["status"] == "requires_confirmation"
    bench.call("POST", f"/v1/payment_intents/{intent['id']}/confirm")
    assert intent["status"] == "succeeded"
