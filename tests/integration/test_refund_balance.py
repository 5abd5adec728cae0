"""A refund that Stripe refuses for lack of balance waits for balance."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from shared.errors import CallerError
from shared.stripe.gateway import StripeGateway
from shared.work.kinds import REFUNDS
from shared.work.refund_jobs import job_of_key, stripe_key
from tests.integration.hands import Hands

Json = dict[str, Any]


@pytest.fixture
def payment(hands: Hands) -> str:
    """Take a payment of 10.00 whose notifications were delivered."""
    answer = hands.pay()
    hands.deliver_events()
    hands.work()
    return str(answer.get_json()["payment_intent_id"])


def refund(hands: Hands, payment: str, **fields: Any) -> str:
    body = {"payment_intent_id": payment} | fields
    answer = hands.client.post("/api/refund/process", json=body)
    return str(answer.get_json()["refund_request_id"])


def refuse(hands: Hands, times: int | None, **fault: Any) -> None:
    """Make the sandbox refuse refunds."""
    match = {"method": "POST", "path_prefix": "/v1/refunds"}
    hands.break_stripe(**({"match": match, "kind": "error", "status": 400, "times": times} | fault))


def about_refunds(hands: Hands) -> list[Json]:
    bodies = [item["body"] for item in hands.notifications()]
    return [body for body in bodies if body["type"].startswith("refund.")]


def test_a_refund_without_balance_is_tried_until_it_succeeds(hands: Hands, payment: str) -> None:
    refuse(hands, 2, code="balance_insufficient")
    job = refund(hands, payment)
    hands.work()
    hands.deliver_events()
    hands.work()

    waits, success = about_refunds(hands)
    assert (waits["type"], success["type"]) == ("refund.pending", "refund.succeeded")
    data = waits["data"]
    assert (data["refund_request_id"], data["refund_id"]) == (job, None)
    assert (data["amount"], data["currency"]) == (1000, "sgd")
    assert data["pending_reason"] == "insufficient_funds"
    assert data["failure_code"] == "balance_insufficient"
    outcomes = [a["outcome"] for a in hands.runtime.refund_jobs.work.attempts(job)]
    assert outcomes == ["waits_for_balance", "waits_for_balance", "refunded"]


def test_each_try_after_a_refusal_has_a_key_of_its_own(
    hands: Hands, payment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []
    make = StripeGateway.create_refund

    def create(gateway: StripeGateway, *, idempotency_key: str, **parameters: Any) -> Json:
        keys.append(idempotency_key)
        if len(keys) <= 2:
            raise CallerError("No balance.", code="balance_insufficient")
        return make(gateway, idempotency_key=idempotency_key, **parameters)

    monkeypatch.setattr(StripeGateway, "create_refund", create)
    job = refund(hands, payment, amount=300)
    hands.work()
    assert keys == [stripe_key(job, tries) for tries in range(3)]
    assert len(set(keys)) == 3
    assert {job_of_key(key) for key in keys} == {job}
    [event] = [e for e in hands.events() if e["type"] == "refund.created"]
    assert hands.runtime.refund_jobs.job_of(event["data"]["object"]["id"]) == job


def test_a_refund_that_has_waited_long_enough_fails_and_is_told(hands: Hands, payment: str) -> None:
    refuse(hands, None, code="balance_insufficient")
    job = refund(hands, payment, amount=300)
    hands.ring()
    store, weeks_ago = hands.runtime.store, 14 * 86_400_000
    item = store.keys.item(REFUNDS, job)
    store.redis.hincrby(item, "recorded_at", -weeks_ago)
    hands.work()
    waits, failed = about_refunds(hands)
    assert (waits["type"], failed["type"]) == ("refund.pending", "refund.failed")
    assert failed["data"]["failure_code"] == "balance_insufficient"
    assert hands.runtime.refund_jobs.read(job)["state"] == "finished"


def test_a_refund_without_balance_is_tried_once_an_hour_at_least(
    hands: Hands, payment: str
) -> None:
    refuse(hands, None, code="balance_insufficient")
    job, store = refund(hands, payment), hands.runtime.store
    store.redis.hset(store.keys.item(REFUNDS, job), "refusals", 100)
    hands.ring()
    due_at = store.redis.zscore(store.keys.due(REFUNDS), job)
    assert 3_500_000 < due_at - store.now_ms() <= 3_600_000


@pytest.mark.parametrize(("parameters", "amount"), [({}, 1000), ({"amount": 400}, 400)])
def test_a_refusal_is_told_with_stripes_sentence_its_amount_and_currency(
    hands: Hands, payment: str, parameters: Json, amount: int
) -> None:
    refuse(hands, 1)
    job = refund(hands, payment, **parameters)
    hands.work()
    (failed,) = about_refunds(hands)
    data = failed["data"]
    assert (data["amount"], data["currency"]) == (amount, "sgd")
    assert data["failure_code"] == "stripe_refused"
    record = hands.runtime.refund_jobs.read(job)
    assert record["failure_message"] == data["failure_message"] != ""
    assert (record["amount"], record["currency"]) == (str(amount), "sgd")


def test_a_refund_refused_for_its_account_fails_and_is_told(hands: Hands, payment: str) -> None:
    refuse(hands, 1, status=403, code="account_invalid")
    job = refund(hands, payment)
    hands.work()
    (failed,) = about_refunds(hands)
    assert failed["data"]["failure_code"] == "account_invalid"
    assert hands.runtime.refund_jobs.read(job)["failure_code"] == "account_invalid"


def set_balance(hands: Hands, **balance: Any) -> None:
    requests.post(f"{hands.sandbox}/_sandbox/balance", json=balance, timeout=5).raise_for_status()


def test_a_refund_that_stripe_itself_lets_wait_says_so_until_money_comes(
    hands: Hands, payment: str
) -> None:
    # The balance of the sandbox is in dollars.
    set_balance(hands, currency="usd", available=0)
    job = refund(hands, payment)
    hands.work()
    hands.deliver_events()
    hands.work()
    waits = hands.client.get(f"/api/refund/{job}").get_json()
    assert (waits["status"], waits["pending_reason"]) == ("pending", "insufficient_funds")

    set_balance(hands, currency="usd", available=5000)
    hands.deliver_events()
    hands.work()
    one_refund = hands.client.get(f"/api/refund/{job}").get_json()
    assert (one_refund["status"], one_refund["pending_reason"]) == ("succeeded", None)
    pending, succeeded = about_refunds(hands)
    assert (pending["type"], succeeded["type"]) == ("refund.pending", "refund.succeeded")
    assert pending["data"]["pending_reason"] == "insufficient_funds"
    assert (pending["data"]["net"], succeeded["data"]["net"]) == (None, one_refund["net"])
    assert one_refund["net"] < 0


def test_fees_are_told_in_the_currency_of_the_balance(hands: Hands) -> None:
    set_balance(hands, settlement_currency="usd")
    payment = hands.pay(currency="eur").get_json()["payment_intent_id"]
    clock = f"{hands.sandbox}/_sandbox/clock"
    requests.post(clock, json={"advance_seconds": 20}, timeout=5).raise_for_status()
    hands.deliver_events()
    hands.work()
    (body,) = [n["body"] for n in hands.notifications(type="payment.settled")]
    answer = hands.client.get(f"/api/payment/{payment}").get_json()
    assert (body["data"]["currency"], body["data"]["settlement_currency"]) == ("eur", "usd")
    for name in ("fee", "net", "settlement_currency", "available_on"):
        assert body["data"][name] == answer[name] is not None
