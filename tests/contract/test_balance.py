"""The balance of an account: fees, conversion, and refunds that wait for balance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import pay, try_to_pay
from tests.contract.side import Side
from tests.contract.test_payment_intents import sepa

Fresh = Callable[..., tuple[Side, Api]]
MINE = pytest.mark.fake_only(reason="a balance cannot be emptied on demand")


def settled(api: Api, side: Side, intent: dict[str, Any]) -> dict[str, Any]:
    """Wait until a charge has its balance transaction; return it."""
    path = f"/v1/charges/{intent['latest_charge']}"
    return side.eventually(
        lambda: api.find(path, {"expand[]": "balance_transaction"})["balance_transaction"],
        "the balance transaction",
    )


def test_a_charge_settles_with_fee_and_net(api: Api, side: Side) -> None:
    movement = settled(api, side, pay(api))
    assert (movement["amount"], movement["fee"], movement["net"]) == (2000, 88, 1912)
    assert (movement["currency"], movement["exchange_rate"]) == ("usd", None)


@MINE
def test_another_currency_is_converted(api: Api, side: Side, diary: Diary) -> None:
    intent = pay(api, currency="eur")
    movement = settled(api, side, intent)
    assert (movement["amount"], movement["currency"]) == (2160, "usd")
    assert movement["exchange_rate"] == 1.08
    assert (movement["fee"], movement["net"]) == (93, 2067)
    assert movement["fee_details"][0]["currency"] == "usd"
    updated = diary.last(intent["latest_charge"], "charge.updated")["data"]
    assert updated["previous_attributes"] == {"balance_transaction": None}
    assert updated["object"]["balance_transaction"] == movement["id"]
    refund = api.make(
        "/v1/refunds", {"payment_intent": intent["id"], "expand[]": "balance_transaction"}
    )
    assert (refund["amount"], refund["currency"]) == (2000, "eur")
    assert refund["balance_transaction"]["amount"] == -2160


@MINE
def test_yen_settle_in_cents(api: Api, side: Side) -> None:
    movement = settled(api, side, pay(api, amount=1000, currency="jpy"))
    assert (movement["amount"], movement["currency"]) == (670, "usd")


@MINE
def test_an_account_can_be_paid_in_another_currency(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox()
    side.control("balance", settlement_currency="sgd")
    movement = settled(api, side, pay(api, amount=1000, currency="sgd"))
    assert (movement["amount"], movement["currency"]) == (1000, "sgd")
    assert settled(api, side, pay(api, amount=1000))["currency"] == "sgd"


@MINE
def test_a_refund_waits_for_money(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox()
    diary = Diary(api, side)
    intent = pay(api)
    side.control("balance", available=1999)
    assert api.find("/v1/balance")["available"][0]["amount"] == 1999
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    assert (refund["status"], refund["pending_reason"]) == ("pending", "insufficient_funds")
    assert refund["balance_transaction"] is None
    assert api.find(f"/v1/charges/{intent['latest_charge']}")["amount_refunded"] == 2000
    side.control("balance", available=2000)
    latest = api.find(f"/v1/refunds/{refund['id']}")
    assert latest["status"] == "succeeded"
    assert latest["balance_transaction"] is not None
    assert "pending_reason" not in latest
    assert api.find("/v1/balance")["available"][0]["amount"] == 0
    change = diary.last(refund["id"], "refund.updated")["data"]["previous_attributes"]
    assert (change["status"], change["pending_reason"]) == ("pending", "insufficient_funds")


@MINE
def test_the_balance_is_what_was_set_also_after_refunds(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox()
    api.make("/v1/refunds", {"payment_intent": pay(api)["id"]})
    for available in (2500, 700):
        side.control("balance", available=available)
        assert api.find("/v1/balance")["available"][0]["amount"] == available


@MINE
def test_a_waiting_refund_is_paid_from_what_becomes_available(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox()
    side.control("balance", available=0)
    intent = pay(api)
    pay(api)
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    assert refund["pending_reason"] == "insufficient_funds"
    side.let_time_pass(24 * 3600)
    assert api.find(f"/v1/refunds/{refund['id']}")["status"] == "pending"
    side.let_time_pass(2 * 24 * 3600)
    assert api.find(f"/v1/refunds/{refund['id']}")["status"] == "succeeded"


@MINE
def test_a_waiting_refund_can_fail(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox()
    intent = pay(api)
    side.control("balance", available=0)
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    failed: Any = side.control(f"refunds/{refund['id']}/fail", reason="insufficient_funds")
    assert (failed["status"], failed["failure_reason"]) == ("failed", "insufficient_funds")
    assert failed.get("failure_balance_transaction") is None
    assert api.find(f"/v1/charges/{intent['latest_charge']}")["amount_refunded"] == 0


@pytest.mark.parametrize(
    ("iban", "status"),
    [("AT611904300234573201", "succeeded"), ("AT861904300235473202", "failed")],
)
def test_a_refund_waits_for_its_charge(api: Api, side: Side, iban: str, status: str) -> None:
    intent = sepa(api, iban)
    assert intent["status"] == "processing"
    refund = api.make("/v1/refunds", {"charge": intent["latest_charge"]})
    assert (refund["status"], refund["pending_reason"]) == ("pending", "charge_pending")
    ended_refund = side.eventually(lambda: no_longer_pending(api, refund["id"]), "the refund's end")
    assert ended_refund["status"] == status


def no_longer_pending(api: Api, refund: str) -> dict[str, Any] | None:
    now = api.find(f"/v1/refunds/{refund}")
    return None if now["status"] == "pending" else now


def test_a_declined_charge_moves_no_money(api: Api) -> None:
    charge = try_to_pay(api, "pm_card_chargeDeclined").error["charge"]
    assert api.find("/v1/balance_transactions", {"source": charge})["data"] == []
