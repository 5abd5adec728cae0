"""The balance from which a batch is paid, when Stripe says late which one that is."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import BillingError, CallerError, Misconfigured, OverBudget, Unavailable
from tests.integration import batching as b
from tests.integration.hands import Hands
from tests.loopback import call
from worker import refund_batches

Json = dict[str, Any]


def wait_for_fees(hands: Hands) -> None:
    """Let Stripe say how the payments settled, which it does some seconds after them."""
    call("POST", f"{hands.sandbox}/_sandbox/clock", json={"advance_seconds": 60})
    b.hear(hands)


def paused_without_rates(hands: Hands) -> str:
    """Pause a batch in SGD, which settles in USD, before the service knows that it does."""
    b.set_balance(hands, settlement_currency="usd")
    b.pay(hands, 2)
    b.set_balance(hands, currency="usd", available=0)
    batch = b.started(hands, event_id="evening")
    assert b.run(hands, batch)["paused_reason"] == "insufficient_funds"
    return batch


def ends(hands: Hands, batch: str) -> bool:
    for _ in range(100):
        b.turn(hands)
        if b.look(hands, batch)["state"] == "completed":
            return True
        b.time.sleep(0.02)
    return False


def test_a_dry_run_does_not_guess_the_balance_of_a_payment_that_has_not_settled(
    hands: Hands,
) -> None:
    b.set_balance(hands, settlement_currency="usd")
    b.pay(hands, 2)
    b.set_balance(hands, currency="usd", available=100)
    (fund,) = b.start(hands, event_id="evening", dry_run=True).get_json()["funds"]
    assert fund == {"currency": "sgd", "needed": 2000, "available": None, "missing": None}
    wait_for_fees(hands)
    (fund,) = b.start(hands, event_id="evening", dry_run=True).get_json()["funds"]
    assert (fund["currency"], fund["available"]) == ("usd", 100)
    assert fund["missing"] == fund["needed"] - 100


def test_a_batch_that_paused_before_its_payments_settled_goes_on_when_balance_comes(
    hands: Hands,
) -> None:
    """It looked at a balance in SGD, of which there never is any."""
    batch = paused_without_rates(hands)
    assert b.look(hands, batch)["missing"] is None
    wait_for_fees(hands)
    b.set_balance(hands, currency="usd", available=100_000)
    b.hear(hands)
    assert ends(hands, batch)


def missing(hands: Hands, batch: str) -> Json:
    """Return the balance that a paused batch lacks, as soon as it is known."""
    for _ in range(100):
        b.turn(hands)
        if b.look(hands, batch)["missing"]:
            break
        b.time.sleep(0.02)
    return b.look(hands, batch)["missing"]


def test_a_paused_batch_names_the_balance_that_is_missing_when_it_is_known(
    hands: Hands,
) -> None:
    batch = paused_without_rates(hands)
    wait_for_fees(hands)
    assert missing(hands, batch).keys() == {"usd"}


def test_the_rate_of_a_currency_that_comes_late_in_a_batch_is_found(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, nobody knows what is missing, and the batch waits for a person."""
    monkeypatch.setattr(refund_batches, "CHUNK", 2)
    b.set_balance(hands, settlement_currency="usd")
    payments = b.pay(hands, 3) + b.pay(hands, 1, currency="eur")
    b.set_balance(hands, currency="usd", available=0)
    batch = b.started(hands, payments=payments)
    assert b.run(hands, batch)["paused_reason"] == "insufficient_funds"
    wait_for_fees(hands)
    assert missing(hands, batch).keys() == {"usd"}
    assert hands.runtime.batches.read(batch).rates.keys() == {"sgd", "eur"}


def poor_beside_rich(hands: Hands) -> str:
    """Start a batch whose balance is empty; the balance of the other event's currency is not."""
    b.set_balance(hands, settlement_currency=None)
    b.pay(hands, 2)
    b.pay(hands, 2, "matinee", currency="eur")
    b.set_balance(hands, currency="sgd", available=0)
    b.set_balance(hands, currency="eur", available=100_000)
    return b.started(hands, event_id="evening")


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("Stripe did not answer."),
        OverBudget(1.0),
        Misconfigured("Stripe does not know the key."),
        CallerError("No such account."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_balance_that_cannot_be_read_holds_up_no_other_batch(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, error: BillingError
) -> None:
    """The other batch is of a currency whose balance suffices."""

    def refuse(*_: object) -> None:
        raise error

    poor = poor_beside_rich(hands)
    with monkeypatch.context() as broken:
        broken.setattr(type(hands.runtime.gateway), "balance", refuse)
        assert b.run(hands, poor)["state"] == "paused"
        rich = b.started(hands, event_id="matinee")
        assert b.run(hands, rich)["state"] == "completed"
        assert b.look(hands, poor)["missing"] is None
    b.set_balance(hands, currency="sgd", available=100_000)
    b.hear(hands)
    assert ends(hands, poor)


def test_a_balance_that_comes_late_holds_up_no_other_batch(hands: Hands) -> None:
    poor = poor_beside_rich(hands)
    hands.break_stripe(
        match={"method": "GET", "path_prefix": "/v1/balance"}, kind="timeout", times=None
    )
    assert b.run(hands, poor)["state"] == "paused"
    rich = b.started(hands, event_id="matinee")
    assert b.run(hands, rich)["counts"]["refunded"] == 2
    assert b.look(hands, poor)["missing"] is None
