"""The calls to Redis for one event: its claim, its settlement and one read of its payment."""

from __future__ import annotations

from typing import Any

import pytest

from shared.store.scripts import Call, Store
from shared.work.payments import Payments
from tests.integration.hands import Hands
from tests.integration.money import alone, charge, dispute, event, intent, refund

Json = dict[str, Any]
SUCCESS = event("payment_intent.succeeded", intent(amount_received=2000))
CHARGED = event("charge.succeeded", charge())


@pytest.mark.parametrize(
    "happened",
    [
        event("charge.updated", charge()),
        event("refund.updated", refund()),
        event("charge.dispute.updated", dispute()),
        event("charge.dispute.funds_withdrawn", dispute(payment_intent=None)),
    ],
    ids=lambda happened: happened["type"],
)
def test_an_event_writes_twice_and_reads_its_payment_once(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, happened: Json
) -> None:
    alone(monkeypatch)
    hands.post_event(SUCCESS)
    hands.post_event(CHARGED)
    hands.work()
    writes, readings = watched(monkeypatch)
    hands.post_event(happened)
    hands.ring()
    assert writes[:2] == ["claim", "settle"]
    # The rest belongs to the notification.
    assert {*writes[2:]} <= {"claim", "release"}
    assert readings == ["pi_1"]


def test_a_charge_is_known_by_its_intent_from_the_same_step(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    writes, _ = watched(monkeypatch)
    hands.post_event(CHARGED)
    hands.ring()
    assert writes == ["claim", "settle"]
    assert hands.runtime.payments.intent_of("ch_1") == "pi_1"


def test_a_charge_without_an_intent_is_its_own_payment(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    hands.post_event(event("charge.succeeded", charge(payment_intent=None)))
    hands.ring()
    assert hands.runtime.payments.intent_of("ch_1") is None


def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Record the scripts that run and the payments that are read from now on."""
    run, read = Store.run, Payments.read
    scripts: list[str] = []
    payments: list[str] = []

    def noting_run(store: Store, call: Call) -> Any:
        scripts.append(call.script)
        return run(store, call)

    def noting_read(self: Payments, payment_id: str) -> Any:
        payments.append(payment_id)
        return read(self, payment_id)

    monkeypatch.setattr(Store, "run", noting_run)
    monkeypatch.setattr(Payments, "read", noting_read)
    return scripts, payments
