"""Changes that banks and Radar cause are recorded like all others (see `bench`)."""

from __future__ import annotations

from typing import Any

from sandbox.control import banking
from sandbox.world.event_losses import EventLoss
from tests.unit.sandbox.worlds import Bench


def ask(bench: Bench, action: Any, object_id: str = "", **body: object) -> Any:
    return action(bench.world, body, object_id)


def test_a_review_and_a_warning_survive_a_restart(bench: Bench) -> None:
    payment = bench.pay()
    bench.write_down()
    review = ask(bench, banking.open_review, payment_intent=payment["id"])
    warning = ask(bench, banking.warn_of_fraud, payment_intent=payment["id"])
    bench.write_down()
    bench.call("POST", "/v1/refunds", {"payment_intent": payment["id"]})
    assert review["closed_reason"] == "refunded"
    assert warning["actionable"] is False


def test_a_waiting_refund_survives_a_restart(bench: Bench) -> None:
    payment = bench.pay()
    ask(bench, banking.set_balance, available=0)
    refund = bench.call("POST", "/v1/refunds", {"payment_intent": payment["id"]})
    bench.write_down()
    assert refund["pending_reason"] == "insufficient_funds"
    ask(bench, banking.set_balance, available=5000)
    assert refund["status"] == "succeeded"


def test_money_on_its_way_covers_no_refund(bench: Bench) -> None:
    payment = bench.pay()
    ask(bench, banking.set_balance, available=100)
    bench.world.advance(5)
    refund = bench.call("POST", "/v1/refunds", {"payment_intent": payment["id"]})
    bench.write_down()
    assert refund["status"] == "pending"
    bench.world.advance(3 * 24 * 3600)
    assert refund["status"] == "succeeded"


def test_a_lost_event_is_told_of_once(bench: Bench) -> None:
    bench.world.mail.losses.append(EventLoss(["payment_intent.succeeded"]))
    bench.pay()
    bench.write_down()
    assert "payment_intent.succeeded" not in bench.events
    bench.world.advance(60)
    events = bench.world.account().table("v2.core.event")
    assert [event["data"]["impact"]["event_type"] for event in events.values()] == [
        "payment_intent.succeeded"
    ]
    bench.pay()
    assert "payment_intent.succeeded" in bench.events


def test_what_a_cancellation_releases_is_written_down(bench: Bench) -> None:
    hold = bench.pay(capture_method="manual")
    bench.write_down()
    canceled = bench.call("POST", f"/v1/payment_intents/{hold['id']}/cancel")
    assert canceled["status"] == "canceled"
    assert "charge.refunded" not in bench.events
