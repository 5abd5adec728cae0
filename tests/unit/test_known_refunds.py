"""What the state of a payment says of its refunds: released holds, and sums without refunds."""

from __future__ import annotations

from typing import Any

import pytest

from shared import known_refunds
from shared.facts import Fact, advance
from shared.known_refunds import NEAR_SECONDS, UNLISTED

Json = dict[str, Any]


def state(family: str, status: str = "succeeded", /, *, at: int = 100, **snapshot: Any) -> Json:
    """Build the state of one subject, of rank (1, at)."""
    return {"family": family, "status": status, "rank": [1, at], "snapshot": snapshot}


def refund(amount: int | None, made_at: int = 90, status: str = "succeeded", **beside: Any) -> Json:
    """Build the state of a refund that was made in a second and changed in second 100."""
    return state("refund", status, amount=amount, created=made_at) | beside


def total(amount: int, added: int, at: int = 100, **beside: int) -> Json:
    """Build the state of a `charge.refunded`: the charge's sum, and the event's part of it."""
    one = state(UNLISTED, amount_refunded=amount, added=added)
    return one | {"rank": [at]} | beside


HOLD = state("payment", amount=1000, amount_received=700)


@pytest.mark.parametrize(
    ("owner", "amount", "is_released"),
    [
        ({"pi_1": HOLD}, 300, True),
        ({"pi_1": HOLD}, 299, False),
        ({"pi_1": state("payment", amount=701, amount_received=700)}, 1, True),
        ({"pi_1": HOLD, "ch_1": state("charge", amount=900)}, 300, True),
        ({"ch_1": state("charge", amount=1000, amount_received=700)}, 300, True),
        ({"ch_1": state("charge", amount=300)}, 300, True),
        ({"cs_1": state("checkout", amount=300)}, 300, False),
        ({"pi_1": state("payment", amount=700, amount_received=700)}, 0, False),
        ({"pi_1": state("payment", amount=700, amount_received=1000)}, -300, False),
        ({"pi_1": state("payment")}, None, False),
        ({}, 300, False),
        ({}, 1, False),
    ],
)
def test_an_unbooked_refund_of_the_rest_releases_a_hold(
    owner: Json, amount: int | None, is_released: bool
) -> None:
    unbooked = state("refund", amount=amount, unbooked=True)
    subjects = owner | {"re_1": unbooked, "re_2": state("refund", amount=amount)}
    after = known_refunds.marked(subjects)
    released = {"snapshot": {"amount": amount, "unbooked": True, "released_hold": is_released}}
    assert after == subjects | {"re_1": unbooked | released}


def test_only_a_refund_releases_a_hold() -> None:
    subjects = {"pi_1": HOLD, "x": state("dispute", amount=300, unbooked=True)}
    assert known_refunds.marked(subjects) == subjects


def test_a_released_hold_is_marked_when_its_payment_is_known_and_not_notified() -> None:
    def fact(subject: str, family: str, **snapshot: Any) -> Fact:
        type_ = f"{family}.succeeded"
        return Fact(subject, family, "succeeded", (1, 1), 1, snapshot, type=type_, key=subject)

    payment = fact("pi_1", "payment", amount=1000, amount_received=700)
    released = fact("re_1", "refund", amount=300, unbooked=True)
    money_back = fact("re_2", "refund", amount=300)
    step = advance({}, [payment, released, money_back])
    assert [(one.subject, one.type) for one in step.news] == [
        ("pi_1", "payment.succeeded"),
        ("re_1", None),
        ("re_2", "refund.succeeded"),
    ]
    assert step.known["subjects"]["re_1"]["snapshot"]["released_hold"]


@pytest.mark.parametrize(
    ("record", "is_let_go"),
    [
        ({}, False),
        ({"subjects": {"pi_1": state("payment", amount=5)}}, False),
        ({"subjects": {"pi_1": state("payment"), "ch_1": state("charge", let_go=True)}}, True),
        ({"subjects": {}, "context": {"let_go": True}}, True),
        ({"subjects": {"pi_1": state("payment", amount_received=1, let_go=True)}}, False),
        ({"subjects": {"pi_1": HOLD}, "context": {"let_go": True}}, False),
    ],
)
def test_a_payment_is_let_go_when_nothing_came(record: Json, is_let_go: bool) -> None:
    assert known_refunds.let_go(record) is is_let_go


NEAR = 100 - NEAR_SECONDS
# A released hold is in no sum, however late its last event came.
RELEASED = state("refund", at=101, amount=600, created=50, released_hold=True)


@pytest.mark.parametrize(
    ("subjects", "amount"),
    [
        ({}, 400),
        ({"pi_1": state("payment", amount=500)}, 400),
        # A refund well before is surely in the sum; one nearby if its amount fits.
        ({"re_1": refund(500, 50)}, 400),
        ({"re_1": refund(600, 50)}, 300),
        ({"re_1": refund(900, 50)}, 0),
        ({"re_1": refund(901, 50)}, 0),
        ({"re_1": refund(600, 50, foretold=True)}, 400),
        ({"re_1": refund(600, 50, "failed")}, 400),
        ({"re_1": refund(600, 50, "failed") | {"rank": [2, 101]}}, 300),
        ({"re_1": refund(600, 101)}, 400),
        ({"re_1": RELEASED}, 400),
        ({"re_1": refund(400, NEAR)}, 0),
        ({"re_1": refund(900, NEAR)}, 0),
        ({"re_1": refund(600, NEAR)}, 400),
        ({"re_1": refund(600, NEAR - 1)}, 300),
        ({"re_1": refund(150, 100), "re_2": refund(250, 99), "re_3": refund(7, 99)}, 0),
        ({"re_1": refund(500, 50), "re_2": refund(400, 100)}, 0),
        # Sums that came before have told their part.
        ({"a": total(500, 500, 99, told=500)}, 400),
        ({"a": total(600, 600, 99, told=600)}, 300),
        ({"a": total(600, 600, 101, told=600)}, 400),
        ({"a": total(800, 600, 100, told=600)}, 300),
        ({"a": total(900, 600, 100, told=600)}, 400),
        ({"a": total(600, 600, 99)}, 400),
    ],
)
def test_a_sum_tells_what_no_other_event_reports(subjects: Json, amount: int) -> None:
    snapshot = {"amount_refunded": 900, "added": 400}
    assert known_refunds.unexplained(snapshot, 100, subjects)[0] == amount


@pytest.mark.parametrize(
    ("subjects", "missing"),
    [
        ({}, 500),
        ({"re_1": refund(300, 50)}, 200),
        ({"re_1": refund(500, 50)}, 0),
        ({"a": total(300, 300, 99, told=300)}, 200),
        ({"a": total(600, 600, 99, told=600)}, 0),
        ({"re_1": refund(400, NEAR)}, 0),
    ],
)
def test_a_sum_shows_how_much_of_earlier_ones_is_missing(subjects: Json, missing: int) -> None:
    snapshot = {"amount_refunded": 900, "added": 400}
    assert known_refunds.unexplained(snapshot, 100, subjects)[1] == missing


@pytest.mark.parametrize(
    ("subjects", "one", "changes"),
    [
        ({}, refund(300), {}),
        # Alone in a sum of about its time.
        ({"a": total(300, 300, told=300, ahead=300)}, refund(300, 99), {"a": 0}),
        ({"a": total(900, 300, told=300, ahead=300)}, refund(300, 99), {"a": 0}),
        ({"a": total(900, 300, told=300, ahead=300)}, refund(300, NEAR), {}),
        ({"a": total(900, 300, told=300, ahead=0)}, refund(300, 99), {}),
        ({"a": total(300, 300, told=300, ahead=300)}, refund(300, 101), {}),
        # With others: less than its amount is left untold of the charge's sum.
        ({"a": total(900, 900, told=900, ahead=900)}, refund(300, 50), {"a": 600}),
        ({"a": total(900, 600, told=600, ahead=600)}, refund(300, 50), {}),
        ({"a": total(900, 601, told=601, ahead=601)}, refund(300, 50), {"a": 301}),
        ({"a": total(900, 900, told=900, ahead=299)}, refund(300, 50), {}),
        ({"a": total(900, 900, told=900, ahead=300)}, refund(300, 50), {"a": 0}),
        (
            {
                "b": total(900, 400, 99, told=400, ahead=400),
                "a": total(500, 500, 98, told=500, ahead=100),
            },
            refund(300, 50),
            {"a": 0, "b": 200},
        ),
        (
            {
                "a": total(500, 500, 98, told=500, ahead=500),
                "b": total(800, 300, 99, told=300, ahead=300),
            },
            refund(300, 97),
            {"b": 0},
        ),
        # The latest sum counts, whatever its name.
        (
            {
                "b": total(500, 500, 98, told=500, ahead=500),
                "a": total(900, 100, 99, told=100, ahead=100),
            },
            refund(300, 50),
            {},
        ),
        ({"a": total(900, 900, told=900, ahead=900)}, refund(300, 50, "failed"), {}),
        (
            {"a": total(900, 900, told=900, ahead=900), "re_2": refund(600, 40)},
            refund(300, 50),
            {"a": 600},
        ),
        # A refund that was notified itself is in no sum's part.
        (
            {"a": total(900, 600, told=600, ahead=600), "re_2": refund(300, 40)},
            refund(200, 50),
            {"a": 400},
        ),
    ],
)
def test_a_refund_is_taken_from_the_sums_that_told_it(
    subjects: Json, one: Json, changes: dict[str, int]
) -> None:
    expected = {name: subjects[name] | {"ahead": left} for name, left in changes.items()}
    assert known_refunds.foretelling(one, subjects) == expected


@pytest.mark.parametrize(
    ("subjects", "amount"),
    [
        ({}, 0),
        ({"re_1": refund(300, foretold=True), "re_2": refund(200)}, 300),
        ({"re_1": refund(300, foretold=True), "a": total(300, 300, told=300, ahead=100)}, 100),
        ({"a": total(300, 300, told=300)}, -300),
        ({"a": total(300, 300)}, 0),
    ],
)
def test_foretold_refunds_wait_for_their_sum(subjects: Json, amount: int) -> None:
    assert known_refunds.unmatched(subjects) == amount


@pytest.mark.parametrize(
    ("subjects", "amount"),
    [
        ({}, 0),
        ({"re_1": refund(300), "re_2": refund(200, status="failed"), "re_3": refund(None)}, 300),
        ({"pi_1": state("payment", amount=9), "a": total(300, 300, told=300, ahead=300)}, 300),
        ({"re_1": refund(300), "a": total(300, 300, told=300, ahead=0)}, 300),
        ({"re_1": refund(300), "a": total(500, 500, told=500, ahead=200)}, 500),
        ({"re_1": refund(300), "a": total(500, 200)}, 500),
        ({"re_1": refund(700), "a": total(300, 300, told=300, ahead=300)}, 1000),
        ({"re_1": refund(300, 101), "a": total(500, 200)}, 800),
        ({"a": total(500, 200, 100), "b": total(900, 400, 99)}, 500),
        ({"a": total(500, 200, 100), "b": total(900, 400, 100)}, 900),
        ({"re_1": refund(300, 50, "failed") | {"rank": [2, 101]}, "a": total(500, 500)}, 200),
        ({"re_1": refund(300, 50, "failed") | {"rank": [2, 100]}, "a": total(500, 500)}, 500),
    ],
)
def test_the_amount_refunded_is_known_from_refunds_or_sums(subjects: Json, amount: int) -> None:
    assert known_refunds.refunded(subjects) == amount


@pytest.mark.parametrize("status", ["pending", "requires_action", "succeeded"])
def test_a_refund_counts_unless_it_only_releases_a_hold(status: str) -> None:
    assert known_refunds.counts(state("refund", status, amount=5))
    assert not known_refunds.counts(state("refund", status, amount=5, released_hold=True))
    assert not known_refunds.counts(state("refund", "failed", amount=5))


OWN: Json = {
    "amount": 300,
    "currency": "sgd",
    "reason": "duplicate",
    "failure_reason": None,
    "pending_reason": "processing",
    "created": 97,
    "metadata": {"seat": "7"},
}
STRIPES = OWN | {"id": "re_1", "object": "refund", "status": "succeeded", "charge": "ch_1"}


def of_charge(charge_id: str = "ch_1", /, status: str = "succeeded", **snapshot: Any) -> Json:
    """Build the state of a refund of a charge."""
    return state("refund", status, **OWN | {"charge_id": charge_id} | snapshot)


def test_the_refunds_of_a_sum_have_stripes_form() -> None:
    subjects = {"pi_1": HOLD, "re_1": of_charge(), "re_2": of_charge("ch_2")}
    assert known_refunds.of_sum("ch_1", 300, 100, subjects) == [STRIPES]


def test_a_refund_of_a_sum_has_its_balance_transaction() -> None:
    sums: Json = {"net": -300, "fee": 0, "settlement_currency": "eur", "available_on": 9}
    subjects = {"re_1": of_charge(), "re_1:settlement": state("settlement", **sums)}
    transaction = {"created": 1, "net": -300, "fee": 0, "currency": "eur", "available_on": 9}
    assert known_refunds.of_sum("ch_1", 300, 100, subjects) == [
        STRIPES | {"balance_transaction": transaction}
    ]
    assert known_refunds.booked("re_1", subjects) == transaction
    assert known_refunds.booked("re_2", subjects) == {}


def test_the_refunds_of_a_sum_are_listed_newest_first() -> None:
    subjects = {
        "re_0": of_charge(amount=4, created=None),
        "re_1": of_charge(amount=1, created=50),
        "re_2": of_charge(amount=2, created=100),
        "re_3": of_charge(amount=3, created=60),
        "re_4": of_charge(status="failed", amount=5, created=100),
        "re_5": of_charge(amount=6, created=100, released_hold=True),
    }
    refunds = known_refunds.of_sum("ch_1", 10, 100, subjects)
    assert [one["id"] for one in refunds] == ["re_2", "re_3", "re_1", "re_0"]


@pytest.mark.parametrize(
    ("subjects", "is_known"),
    [
        ({}, False),
        ({"re_1": of_charge()}, True),
        ({"re_1": of_charge(created=NEAR)}, True),
        ({"re_1": of_charge(created=NEAR - 1)}, False),
        ({"re_1": of_charge(amount=299)}, False),
        ({"re_1": of_charge(status="pending")}, False),
        ({"re_1": of_charge("ch_2")}, False),
        ({"re_1": of_charge() | {"family": "dispute"}}, False),
        ({"re_1": of_charge(amount=200), "re_2": of_charge(amount=100)}, True),
        ({"re_1": of_charge(amount=200), "re_2": of_charge(amount=100, created=50)}, True),
        (
            {"re_1": of_charge(amount=200), "re_2": of_charge(status="pending", amount=100)},
            False,
        ),
    ],
)
def test_a_sum_is_looked_up_unless_all_its_refunds_are_known(
    subjects: Json, is_known: bool
) -> None:
    assert bool(known_refunds.of_sum("ch_1", 300, 100, subjects)) == is_known
