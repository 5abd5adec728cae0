"""Readings of a payment's state: what each says, from which of its facts, and what without them."""

from __future__ import annotations

import time
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest

from shared import payment_summary
from shared.facts import Fact
from shared.known_refunds import UNLISTED
from shared.notification import DATA_FIELDS
from shared.payment_summary import LOOKED_UP

Json = dict[str, Any]
NO_FEES = dict.fromkeys(("fee", "net", "settlement_currency", "available_on"))
FEES: Json = {"fee": 84, "net": 916, "settlement_currency": "sgd", "available_on": 1_772_539_200}
INTENT: Json = {
    "amount": 1000,
    "amount_received": 900,
    "currency": "sgd",
    "charge_id": "ch_1",
    "created": 50,
    "livemode": True,
    "description": "Two tickets",
    "metadata": {"seat": 7, "row": None},
}


def state(family: str, status: str = "succeeded", /, *, at: int = 100, **snapshot: Any) -> Json:
    """Build the state of one subject, of rank (1, at)."""
    rank = [1, at]
    return {"family": family, "status": status, "rank": rank, "snapshot": snapshot, "said": {}}


def subjects_known(context: Json | None = None, **subjects: Json) -> Json:
    """Build the state of a payment; `of__it` names the subject `of:it`."""
    by_name = {name.replace("__", ":"): one for name, one in subjects.items()}
    return {"subjects": by_name, "context": context or {}}


def test_a_summary_has_what_is_known_from_each_source() -> None:
    payment = state("payment", **INTENT) | {"said": {"event_id": "e1", "user_id": "u1"}}
    of_it = subjects_known(
        {"customer_email": "a@example.com", "account": "acct_1"},
        pi_1=payment,
        re_1=state("refund", amount=300),
        du_1=state("dispute", "needs_response", amount=600),
        ch_1__settlement=state("settlement", **FEES),
    )
    assert asdict(payment_summary.summarise("pi_1", of_it)) == {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 1000,
        "amount_received": 900,
        "amount_refunded": 300,
        "currency": "sgd",
        "charge_id": "ch_1",
        "created": 50,
        "livemode": True,
        "description": "Two tickets",
        "customer_email": "a@example.com",
        "account": "acct_1",
        "metadata": {"event_id": "e1", "user_id": "u1", "seat": "7"},
        "disputes": [{"id": "du_1", "status": "needs_response", "amount": 600} | NO_FEES],
        "fee": 84,
        "net": 916,
        "settlement_currency": "sgd",
    }


def test_a_summary_of_nothing_has_nothing() -> None:
    summary = asdict(payment_summary.summarise("pi_1", {}))
    empty = {"id": "pi_1", "amount_refunded": 0, "created": 0, "metadata": {}, "disputes": []}
    assert summary == dict.fromkeys(summary) | empty


def test_the_payments_own_metadata_name_the_event_before_a_looked_up_one() -> None:
    of_it = subjects_known(
        {"event_id": "looked up"}, pi_1=state("payment", metadata={"event_id": "own"})
    )
    assert payment_summary.summarise("pi_1", of_it).metadata == {"event_id": "own"}


CHARGE = state(
    "charge", "succeeded", amount=500, captured=True, amount_captured=400, currency="sgd"
)
SESSION = state("checkout", "complete", amount=700)


@pytest.mark.parametrize(
    ("subjects", "status", "amount"),
    [
        ({}, None, None),
        ({"cs_1": SESSION}, None, 700),
        ({"cs_1": SESSION, "ch_1": CHARGE}, "succeeded", 500),
        ({"ch_1": CHARGE, "pi_1": state("payment", "canceled", amount=600)}, "canceled", 600),
        ({"pi_1": state("payment", "x", status="processing", amount=1)}, "processing", 1),
        ({"ch_1": CHARGE, "ch_2": state("charge", "failed", at=99)}, "succeeded", 500),
        (
            {"ch_2": state("charge", "failed", at=101), "ch_1": CHARGE},
            "requires_payment_method",
            None,
        ),
        ({"ch_1": state("charge", amount=500, let_go=True)}, "canceled", 500),
        ({"ch_1": state("charge", amount=500)}, "requires_capture", 500),
        ({"re_1": state("refund", amount=5)}, None, None),
    ],
)
def test_the_status_is_of_the_best_source(subjects: Json, status: Any, amount: Any) -> None:
    intent = payment_summary.remembered_intent("pi_1", subjects_known(**subjects))
    assert (intent["id"], intent["status"], intent.get("amount")) == ("pi_1", status, amount)


@pytest.mark.parametrize(
    ("payment_id", "subjects", "charge_id"),
    [
        ("pi_1", {"pi_1": state("payment", charge_id="ch_own"), "ch_1": CHARGE}, "ch_own"),
        ("pi_1", {"pi_1": state("payment"), "re_1": state("refund"), "ch_1": CHARGE}, "ch_1"),
        ("pi_1", {"pi_1": state("payment")}, None),
        ("ch_9", {"ch_1": CHARGE}, "ch_9"),
    ],
)
def test_the_charge_is_the_named_or_the_known_one(
    payment_id: str, subjects: Json, charge_id: str | None
) -> None:
    intent = payment_summary.remembered_intent(payment_id, subjects_known(**subjects))
    assert intent["charge_id"] == charge_id


@pytest.mark.parametrize(
    ("subjects", "created"),
    [
        ({"pi_1": state("payment", created=70), "re_1": state("refund", created=60)}, 70),
        ({"pi_1": state("payment"), "re_1": state("refund", created=60)}, 60),
        ({"re_1": state("refund", at=80), "re_2": state("refund", at=90)}, 80),
        ({"re_1": state("refund") | {"rank": [3, 90, 1]}}, 90),
        ({"re_1": state("refund") | {"rank": [1, 90, 300]}}, 90),
    ],
)
def test_a_payment_is_as_old_as_its_first_known_second(subjects: Json, created: int) -> None:
    assert (
        payment_summary.remembered_intent("pi_1", subjects_known(**subjects))["created"] == created
    )


FARTHEST_FIRST = (
    *("review", "fraud_warning", "dispute_funds", "dispute", UNLISTED, "refund", "settlement"),
    *("charge", "checkout", LOOKED_UP, "payment"),
)


@pytest.mark.parametrize(("far", "close"), [*pairwise(FARTHEST_FIRST)])
def test_of_two_sources_the_closer_to_the_payment_names_the_event(far: str, close: str) -> None:
    looked_up = {"event_id": "looked_up", "user_id": "looked_up"}
    of_it: Json = {"subjects": {}, "context": {}}
    for family in (close, far):
        if family == LOOKED_UP:
            of_it["context"] = looked_up
        else:
            of_it["subjects"][family] = state(family) | {"said": {"event_id": family}}
    assert payment_summary.context(of_it)["event_id"] == close


def test_of_equal_sources_the_last_by_name_counts_in_any_order() -> None:
    def says(event_id: str) -> Json:
        return state("refund") | {"said": {"event_id": event_id, "seat": "7"}}

    assert payment_summary.context(subjects_known(re_2=says("b"), re_1=says("a"))) == {
        "event_id": "b"
    }
    assert payment_summary.context(subjects_known(re_1=says("a"), re_2=says("b"))) == {
        "event_id": "b"
    }
    assert payment_summary.context(subjects_known(x=says("a") | {"family": "unheard of"})) == {}


RELEASED = state("refund", amount=30, released_hold=True)
CAPTURED = state("payment", amount=100, amount_received=70)


@pytest.mark.parametrize(
    ("subjects", "refunded"),
    [
        ({}, 0),
        ({"pi_1": state("payment", let_go=True), "re_1": state("refund", amount=5)}, 0),
        ({"re_1": state("refund", amount=5), "re_2": state("refund", "pending", amount=6)}, 11),
        ({"re_1": state("refund", amount=5), "re_2": state("refund", "failed", amount=6)}, 5),
        ({"pi_1": CAPTURED, "re_1": RELEASED, "re_2": state("refund", amount=5)}, 5),
        ({"sum": state(UNLISTED, amount_refunded=40) | {"told": 40, "ahead": 40}}, 40),
    ],
)
def test_refunds_of_captured_money_are_summed(subjects: Json, refunded: int) -> None:
    assert payment_summary.amount_refunded(subjects_known(**subjects)) == refunded


@pytest.mark.parametrize(
    ("of_it", "fees"),
    [
        ({}, NO_FEES),
        (subjects_known(ch_1=state("charge", fee=1)), NO_FEES),
        (subjects_known(ch_1=CHARGE, ch_1__settlement=state("settlement", **FEES)), FEES),
        (subjects_known(ch_1__settlement=state("settlement", fee=3)), NO_FEES | {"fee": 3}),
    ],
)
def test_fees_are_those_of_the_settlement(of_it: Json, fees: Json) -> None:
    assert payment_summary.fees(of_it) == fees


def test_disputes_are_listed_newest_first() -> None:
    of_it = subjects_known(
        pi_1=CAPTURED,
        du_0=state("dispute", "lost"),
        du_1=state("dispute", "won", created=10),
        du_2=state("dispute", "lost", created=20, status="warning_closed"),
    )
    assert [(one["id"], one["status"]) for one in payment_summary.disputes(of_it)] == [
        ("du_2", "warning_closed"),
        ("du_1", "won"),
        ("du_0", "lost"),
    ]
    assert payment_summary.disputed(of_it)
    assert not payment_summary.disputed(subjects_known(pi_1=CAPTURED))


@pytest.mark.parametrize(
    ("subjects", "status", "net"),
    [
        ({"du_1": state("dispute", "won")}, "won", None),
        ({"du_1__out": state("dispute_funds", "withdrawn", net=-60)}, "withdrawn", -60),
        ({"du_1__out": state("dispute_funds", "withdrawn", status="lost", net=-6)}, "lost", -6),
        (
            {
                "du_1": state("dispute", "lost", at=90),
                "du_1__out": state("dispute_funds", "withdrawn", at=200, net=-60),
            },
            "lost",
            -60,
        ),
        (
            {
                "du_1__out": state("dispute_funds", "withdrawn", at=95, net=-60),
                "du_1": state("dispute", "won", net=0),
                "du_1__in": state("dispute_funds", "reinstated", at=90, net=60),
            },
            "won",
            -60,
        ),
        (
            {
                "du_1": state("dispute", "won", net=7) | {"rank": [2, 1]},
                "du_1__in": state("dispute_funds", "reinstated", net=60),
            },
            "won",
            7,
        ),
        # Of one second, the movement's own event counts.
        (
            {
                "du_1": state("dispute", "won", net=7),
                "du_1__in": state("dispute_funds", "reinstated", net=60),
            },
            "won",
            60,
        ),
    ],
)
def test_a_dispute_has_its_own_status_and_its_last_movement(
    subjects: Json, status: str, net: int | None
) -> None:
    (dispute,) = payment_summary.disputes(subjects_known(**subjects))
    assert (dispute["id"], dispute["status"], dispute["net"]) == ("du_1", status, net)
    assert {name: dispute[name] for name in ("fee", "available_on")} == dict.fromkeys(
        ("fee", "available_on")
    )


def test_refunds_are_listed_newest_first_with_their_movement() -> None:
    of_it = subjects_known(
        pi_1=CAPTURED,
        re_1=state("refund", "pending", amount=5, created=10),
        re_2=state("refund", amount=6, created=20),
        re_2__settlement=state("settlement", fee=1, net=-6),
        re_3=RELEASED,
    )
    assert payment_summary.refunds(of_it) == [
        {"id": "re_2", "status": "succeeded", "amount": 6, "created": 20, "fee": 1, "net": -6},
        {"id": "re_1", "status": "pending", "amount": 5, "created": 10},
    ]
    assert payment_summary.refunds({}) == []
    let_go = subjects_known(pi_1=state("payment", let_go=True), re_1=state("refund", amount=5))
    assert payment_summary.refunds(let_go) == []


def fact(family: str = "payment", **data: Any) -> Fact:
    return Fact(
        subject="pi_1",
        family=family,
        status="succeeded",
        rank=(1, 100),
        happened_at=100,
        snapshot={},
        type="payment.succeeded",
        key="pi_1",
        data=data,
        livemode=True,
        stripe_event_id="evt_1",
    )


def test_a_notification_names_all_that_is_known() -> None:
    data: Json = {"amount": 1000, "user_id": "own", "currency": None, "due_by": 86_400}
    of_it = subjects_known(
        {"event_id": "e", "user_id": "looked up", "customer_email": "a@example.com"},
        pi_1=CAPTURED,
        re_1=state("refund", amount=5),
        ch_1__settlement=state("settlement", **FEES),
    )
    body = payment_summary.notification_body(fact(**data), of_it, "pi_1")
    data_of_body = {name: value for name, value in body["data"].items() if value is not None}
    assert data_of_body == {
        "payment_intent_id": "pi_1",
        "amount": 1000,
        "amount_refunded": 5,
        "status": "succeeded",
        "user_id": "own",
        "event_id": "e",
        "customer_email": "a@example.com",
        "due_by": "1970-01-02T00:00:00Z",
        "metadata": {},
        "stripe_event_id": "evt_1",
    } | FEES | {"available_on": "2026-03-03T12:00:00Z"}
    assert tuple(body["data"]) == DATA_FIELDS
    assert (body["type"], body["livemode"]) == ("payment.succeeded", True)
    assert (body["id"], body["timestamp"]) == (fact().notification_id, "1970-01-01T00:01:40Z")
    assert set(body) == {"id", "type", "timestamp", "livemode", "data"}


def test_only_a_payments_own_notification_has_its_fees() -> None:
    of_it = subjects_known(ch_1__settlement=state("settlement", **FEES))
    body = payment_summary.notification_body(fact("refund", metadata={"a": "b"}), of_it, "ch_1")
    assert {name: body["data"][name] for name in FEES} == NO_FEES
    assert body["data"]["payment_intent_id"] is None
    assert body["data"]["metadata"] == {"a": "b"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "1970-01-01T00:00:00Z"),
        (0.9, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:01Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (1e15, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_is_one_that_rfc_3339_can_express(seconds: float, text: str) -> None:
    assert payment_summary.timestamp(seconds) == text


def test_a_time_is_in_utc_wherever_the_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as place:
        place.setenv("TZ", "Asia/Singapore")
        time.tzset()
        assert payment_summary.timestamp(1) == "1970-01-01T00:00:01Z"
    time.tzset()
