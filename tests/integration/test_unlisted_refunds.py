"""Refunds that the key may not list: notified once, by the charge's sum or by their own events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.hands import Hands
from tests.integration.money import (
    LONG_AGO,
    alone,
    brief,
    charge,
    event,
    intent,
    notifications_of,
    refund,
)

Json = dict[str, Any]
SUCCESS = event("payment_intent.succeeded", intent(amount_received=2000))


def refunded(total: int, before: int = 0, at: int = LONG_AGO) -> Json:
    previous = {"amount_refunded": before}
    return event("charge.refunded", charge(amount_refunded=total), previous, created=at)


def own_refund(number: int, amount: int, at: int = LONG_AGO, **changes: Any) -> Json:
    obj = refund(id=f"re_{number}", amount=amount, created=at, **changes)
    return event("refund.created", obj, created=at)


def test_a_refund_that_its_sum_told_of_is_not_told_again(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    bodies = notifications_of(
        hands, SUCCESS, refunded(700), own_refund(1, 700), own_refund(2, 300, LONG_AGO + 60)
    )
    assert brief(bodies[1:], "amount", "amount_refunded", "refund_id") == [
        ("refund.succeeded", 700, 700, None),
        ("refund.succeeded", 300, 1000, "re_2"),
    ]


def test_a_sum_tells_only_what_refunds_have_not_told(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    later = LONG_AGO + 60
    bodies = notifications_of(
        hands, SUCCESS, own_refund(1, 700), refunded(700), refunded(1000, 700, later)
    )
    assert brief(bodies[1:], "amount", "amount_refunded", "refund_id") == [
        ("refund.succeeded", 700, 700, "re_1"),
        ("refund.succeeded", 300, 1000, None),
    ]


def test_a_refund_that_its_sum_told_of_is_told_when_it_fails(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    failed = refund(id="re_1", status="failed", failure_reason="lost_or_stolen_card")
    bodies = notifications_of(
        hands,
        SUCCESS,
        refunded(700),
        own_refund(1, 700),
        event("refund.failed", failed, created=LONG_AGO + 60),
    )
    assert brief(bodies[1:], "amount", "amount_refunded", "refund_id") == [
        ("refund.succeeded", 700, 700, None),
        ("refund.failed", 700, 0, "re_1"),
    ]


@pytest.mark.parametrize("apart", [0, 1, 600])
@pytest.mark.parametrize("sum_first", [True, False])
def test_refunds_that_their_sum_told_together_are_told_once(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, apart: int, sum_first: bool
) -> None:
    alone(monkeypatch)
    last = LONG_AGO + 2 * apart
    own = [own_refund(n, 100 * n, LONG_AGO + apart * (n - 1)) for n in (1, 2, 3)]
    together = [refunded(600, at=last)]
    bodies = notifications_of(hands, SUCCESS, *(together + own if sum_first else own + together))
    amounts = [body["data"]["amount"] for body in bodies[1:]]
    assert amounts == ([600] if sum_first else [100, 200, 300])
    assert bodies[-1]["data"]["amount_refunded"] == 600


def test_a_refund_after_a_sum_of_several_is_told(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    later = LONG_AGO + 600
    own = [own_refund(1, 300), own_refund(2, 700), own_refund(3, 250, later)]
    bodies = notifications_of(hands, SUCCESS, refunded(1000), *own, refunded(1250, 1000, later))
    assert brief(bodies[1:], "amount", "amount_refunded", "refund_id") == [
        ("refund.succeeded", 1000, 1000, None),
        ("refund.succeeded", 250, 1250, "re_3"),
    ]
