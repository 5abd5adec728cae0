"""Fee and net amount: once known, they are shown whatever event comes afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Unavailable
from shared.stripe.gateway import StripeGateway
from tests.integration.hands import Hands
from tests.integration.money import alone, charge, dispute, event, intent, notifications_of, refund

Json = dict[str, Any]
FEES = ("fee", "net", "settlement_currency")


def booked(number: int, net: int, fee: int) -> Json:
    return {
        "id": f"txn_{number}",
        "object": "balance_transaction",
        "net": net,
        "fee": fee,
        "currency": "sgd",
        "available_on": 1_772_452_800,
    }


def stale(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Json:
    """Read a payment while Stripe does not answer."""

    def silent(*_: object, **__: object) -> Json:
        raise Unavailable("Stripe does not answer.", code="stripe_unreachable")

    monkeypatch.setattr(StripeGateway, "payment", silent)
    answer: Json = hands.client.get("/api/payment/pi_1").get_json()
    assert answer["stale"]
    return answer


def fees(answer: Json) -> tuple[Any, ...]:
    return tuple(answer[name] for name in FEES)


def test_fees_are_shown_and_kept_whatever_comes_later(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    withdrawn = dispute(balance_transactions=[booked(3, -3650, 2000)])
    notifications_of(
        hands,
        event("payment_intent.succeeded", intent(amount_received=2000)),
        event("charge.updated", charge(balance_transaction=booked(1, 1912, 88))),
        event("refund.created", refund(balance_transaction=booked(2, -700, 0))),
        # It names its balance transaction, which is not looked up again.
        event("refund.updated", refund(balance_transaction="txn_2"), {"metadata": {}}),
        event("charge.dispute.funds_withdrawn", withdrawn),
        event("charge.dispute.created", dispute()),
    )
    answer = stale(hands, monkeypatch)
    assert fees(answer) == (88, 1912, "sgd")
    assert [fees(one) for one in answer["refunds"]] == [(0, -700, "sgd")]
    assert [fees(one) for one in answer["disputes"]] == [(2000, -3650, "sgd")]


def test_the_timeline_shows_what_an_event_moved(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    notifications_of(
        hands,
        event("payment_intent.succeeded", intent(amount_received=2000)),
        event("charge.updated", charge(balance_transaction=booked(1, 1912, 88))),
        event("refund.created", refund(balance_transaction=booked(2, -700, 0))),
    )
    answer = stale(hands, monkeypatch)
    processed = [one for one in answer["timeline"] if one["kind"] == "event_processed"]
    assert [tuple(one.get(name) for name in FEES) for one in processed] == [
        (None, None, None),
        (88, 1912, "sgd"),
        (0, -700, "sgd"),
    ]


@pytest.mark.parametrize("end", ["failed", "canceled"])
def test_a_refund_whose_money_came_back_changed_the_balance_by_nothing(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    alone(monkeypatch)
    took = {"balance_transaction": booked(2, -700, 0)}
    bodies = notifications_of(
        hands,
        event("payment_intent.succeeded", intent(amount_received=2000)),
        event("refund.created", refund(**took)),
        event("refund.updated", refund(status=end, **took), {"status": "succeeded"}),
    )
    nets = [(one["type"], one["data"]["net"]) for one in bodies if "refund" in one["type"]]
    assert nets == [("refund.succeeded", -700), (f"refund.{end}", None)]
    [last] = stale(hands, monkeypatch)["refunds"]
    assert (last["status"], *fees(last)) == (end, None, None, None)
