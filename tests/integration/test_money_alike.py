"""One payment in five places: GET, stale GET, verify, the list and the last notification."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from shared.errors import CallerError, Unavailable
from shared.stripe.gateway import StripeGateway
from tests.integration.hands import Hands
from tests.integration.money import (
    BEFORE_BASIL,
    LONG_AGO,
    brief,
    charge,
    dispute,
    event,
    intent,
    notifications_of,
    refund,
)

Json = dict[str, Any]
CAPTURABLE = "payment_intent.amount_capturable_updated"
ONE = {"created": LONG_AGO, "livemode": False}
LATER = LONG_AGO + 60


class Stripe:
    """A Stripe that has one payment and nothing else, or does not answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.objects: Json = {}
        self.refunds: list[Json] = []
        self.disputes: list[Json] = []
        self.answers = True
        for name in ("payment", "charge", "balance_transaction"):
            monkeypatch.setattr(StripeGateway, name, lambda _, of, *__, **___: self._copy_of(of))
        for name in ("refunds", "disputes"):
            monkeypatch.setattr(StripeGateway, f"{name}_of", self._list(name))

    def holds(self, *objects: Json, refunds: list[Json] | None = None) -> None:
        self.objects = {one["id"]: ONE | one for one in objects}
        self.refunds = refunds or []

    def _copy_of(self, object_id: str) -> Json:
        self._answer()
        if object_id not in self.objects:
            raise CallerError("No such thing.", status=404, code="resource_missing")
        hold: Json = copy.deepcopy(self.objects[object_id])
        return hold

    def _list(self, name: str) -> Any:
        def list_(*_: object, **__: object) -> list[Json]:
            self._answer()
            members: list[Json] = copy.deepcopy(getattr(self, name))
            return members

        return list_

    def _answer(self) -> None:
        if not self.answers:
            raise Unavailable("Stripe did not answer.", code="stripe_unreachable")


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Stripe:
    monkeypatch.setattr("worker.events.PAYMENT_PATIENCE_SECONDS", 0.0)
    return Stripe(monkeypatch)


def answers_of(hands: Hands, stripe: Stripe, payment_id: str) -> dict[str, Json]:
    """Read a payment in every way there is."""
    path = f"/api/payment/{payment_id}"
    answers = {"GET": hands.client.get(path)}
    verify = {"payment_intent_id": payment_id}
    answers["verify"] = hands.client.post("/api/payment/verify", json=verify)
    stripe.answers = False
    answers["stale GET"] = hands.client.get(path)
    answers["list"] = hands.client.get("/api/payments")
    bodies: dict[str, Json] = {way: answer.get_json() for way, answer in answers.items()}
    assert [answer.status_code for answer in answers.values()] == [200] * len(answers), bodies
    [listing] = bodies["list"]["data"]
    return bodies | {"list": listing}


def assert_alike(hands: Hands, stripe: Stripe, payment_id: str, **fields: Any) -> None:
    """Compare every answer with the wanted fields, as far as it has them."""
    for way, body in answers_of(hands, stripe, payment_id).items():
        assert {n: v for n, v in body.items() if n in fields} == {
            n: v for n, v in fields.items() if n in body
        }, way


def of_payment(bodies: list[Json]) -> Json:
    """Return the data of the last notification about the payment itself."""
    data: Json = [b for b in bodies if b["type"].startswith("payment.")][-1]["data"]
    return data


HOLD = charge(captured=False, amount_captured=0)
PARTLY = HOLD | {"amount_captured": 700}
HELD_ALONE = HOLD | {"payment_intent": None} | ONE
OLD = {"api_version": BEFORE_BASIL}


@pytest.mark.parametrize("version", [{}, OLD])
@pytest.mark.parametrize("by", ["refund.created", "charge.refunded"])
def test_captured_money_is_refunded_while_the_rest_is_still_held(
    hands: Hands, stripe: Stripe, by: str, version: Json
) -> None:
    one_refund, after = refund(amount=200, created=LATER), PARTLY | {"amount_refunded": 200}
    hold = intent(status="requires_capture", amount_received=700, amount_capturable=1300)
    stripe.holds(hold | {"latest_charge": after}, refunds=[one_refund])
    changes = {
        "refund.created": (one_refund, None),
        "charge.refunded": (after, {"amount_refunded": 0}),
    }
    bodies = notifications_of(
        hands,
        event(CAPTURABLE, hold, **version),
        event(by, *changes[by], created=LATER, **version),
    )
    assert brief(bodies, "amount", "amount_refunded") == [
        ("payment.partially_captured", 2000, 0),
        ("refund.succeeded", 200, 200),
    ]
    money = {"amount_received": 700, "amount_capturable": 1300, "amount_refunded": 200}
    assert_alike(hands, stripe, "pi_1", status="requires_capture", **money)


@pytest.mark.parametrize("expired_first", [True, False])
def test_a_charge_whose_hold_expired_is_canceled_though_stripes_charge_does_not_say_so(
    hands: Hands, stripe: Stripe, expired_first: bool
) -> None:
    stripe.holds(HELD_ALONE)
    expired = event("charge.expired", HELD_ALONE, created=LATER)
    hold = event("charge.succeeded", HELD_ALONE)
    bodies = notifications_of(hands, *([expired, hold] if expired_first else [hold, expired]))
    target = {"status": "canceled", "amount_received": 0, "amount_capturable": 0}
    assert target.items() <= of_payment(bodies).items()
    assert_alike(hands, stripe, "ch_1", **target, amount_refunded=0, refunds=[])


def test_what_is_held_of_a_charge_without_an_intent_is_told(hands: Hands, stripe: Stripe) -> None:
    stripe.holds(HELD_ALONE)
    bodies = notifications_of(hands, event("charge.succeeded", HELD_ALONE))
    target = {"status": "requires_capture", "amount": 2000, "amount_capturable": 2000}
    assert target.items() <= of_payment(bodies).items()
    assert_alike(hands, stripe, "ch_1", **target)


@pytest.mark.parametrize("with_intent", [True, False])
def test_the_refund_that_releases_an_old_hold_is_in_no_list(
    hands: Hands, stripe: Stripe, with_intent: bool
) -> None:
    names = {"payment_intent": "pi_1" if with_intent else None}
    released = HOLD | names | ONE | {"amount_refunded": 2000, "refunded": True}
    freed = refund(amount=2000, created=LATER, **names)
    canceled = intent(status="canceled", cancellation_reason="automatic")
    stripe.holds(released, canceled | {"latest_charge": released}, refunds=[freed])
    ends = [event("payment_intent.canceled", canceled, created=LATER, **OLD)] if with_intent else []
    notifications_of(
        hands,
        event("charge.succeeded", HOLD | names | ONE, **OLD),
        event("charge.refunded", released, {"amount_refunded": 0}, created=LATER, **OLD),
        *ends,
        event("refund.created", freed, created=LATER, **OLD),
    )
    payment = "pi_1" if with_intent else "ch_1"
    money = {"amount_received": 0, "amount_refunded": 0, "refunds": []}
    assert_alike(hands, stripe, payment, status="canceled", **money)


@pytest.mark.parametrize(
    ("refund_amount", "moved"), [(0, None), (1500, None), (1500, {}), (400, None)]
)
def test_the_rest_that_an_old_capture_released_is_in_no_list(
    hands: Hands, stripe: Stripe, refund_amount: int, moved: Json | None
) -> None:
    booked = {"balance_transaction": None} if moved is None else {}
    freed = refund(id="re_0", amount=500, **booked)
    returned = refund(amount=refund_amount, created=LATER, balance_transaction="txn_1")
    after = charge(amount_captured=1500, amount_refunded=500 + refund_amount)
    payment = intent(amount_received=1500)
    stripe.holds(
        payment | {"latest_charge": after}, refunds=[returned, freed] if refund_amount else [freed]
    )
    again = event("charge.refunded", after, {"amount_refunded": 500}, created=LATER, **OLD)
    notifications_of(
        hands,
        event("payment_intent.succeeded", payment, **OLD),
        *([again] if refund_amount else []),
    )
    answers = answers_of(hands, stripe, "pi_1")
    for way, answer in answers.items():
        assert (way, answer["amount_refunded"]) == (way, refund_amount)
    for way in ("GET", "stale GET"):
        words = [one["refund_id"] for one in answers[way]["refunds"]]
        assert (way, words) == (way, ["re_1"] if refund_amount else [])


@pytest.mark.parametrize(
    ("events", "payment", "target"),
    [
        ([event("charge.succeeded", charge())], "pi_1", {"amount_received": 2000}),
        ([event("charge.captured", charge(amount_captured=1200))], "pi_1", {"amount": 2000}),
        ([event("charge.expired", HOLD)], "pi_1", {"status": "canceled", "amount_capturable": 0}),
        ([event("charge.succeeded", charge(payment_intent=None))], "ch_1", {"status": "succeeded"}),
        ([event("payment_intent.succeeded", intent(created=None))], "pi_1", {"amount": 2000}),
        (
            [event("payment_intent.succeeded", intent(amount_received=None))],
            "pi_1",
            {"amount_received": 2000},
        ),
    ],
)
def test_what_one_event_told_is_shown_and_listed_alike(
    hands: Hands, stripe: Stripe, events: list[Json], payment: str, target: Json
) -> None:
    notifications_of(hands, *events)
    stripe.answers = False
    answer = hands.client.get(f"/api/payment/{payment}").get_json()
    [listing] = hands.client.get("/api/payments").get_json()["data"]
    assert target.items() <= answer.items()
    assert {name: listing[name] for name in target if name in listing}.items() <= target.items()
    assert (answer["created"], answer["livemode"]) == (listing["created"], False)


def test_a_debit_under_way_has_brought_nothing_yet(hands: Hands, stripe: Stripe) -> None:
    debit = charge(id="py_1", payment_intent=None, status="pending") | ONE
    stripe.holds(debit)
    notifications_of(hands, event("charge.pending", debit))
    assert_alike(hands, stripe, "py_1", status="processing", amount_received=0)


def test_a_status_of_a_refund_that_is_new_to_us_is_shown_as_it_is(
    hands: Hands, stripe: Stripe
) -> None:
    reversed_ = refund(status="reversed")
    stripe.holds(intent(amount_received=2000, latest_charge=charge()), refunds=[reversed_])
    notifications_of(
        hands,
        event("payment_intent.succeeded", intent(amount_received=2000)),
        event("refund.updated", reversed_),
    )
    for way, answer in answers_of(hands, stripe, "pi_1").items():
        assert (way, answer["amount_refunded"]) == (way, 0)
        assert [one["status"] for one in answer.get("refunds", [])] in ([], ["reversed"])


@pytest.mark.parametrize("form", ["expanded", "list", "ids", "id"])
def test_a_dispute_of_which_only_the_movement_is_heard_is_shown(
    hands: Hands, stripe: Stripe, form: str
) -> None:
    booked = {"id": "txn_1", "net": -3650, "fee": 1500, "currency": "sgd", "available_on": LATER}
    forms: Json = {
        "expanded": {"balance_transactions": [booked]},
        "list": {"balance_transactions": {"object": "list", "data": [booked]}},
        "ids": {"balance_transactions": ["txn_1"]},
        "id": {"balance_transactions": None, "balance_transaction": "txn_1"},
    }
    lost = dispute(created=LATER) | forms[form]
    stripe.holds(intent(amount_received=2000, latest_charge=charge(disputed=True)), booked)
    stripe.disputes = [lost | forms["expanded"]]
    payment = event("payment_intent.succeeded", intent(amount_received=2000))
    bodies = notifications_of(
        hands, payment, event("charge.dispute.funds_withdrawn", lost, created=LATER)
    )
    assert brief(bodies[1:], "net", "fee") == [("dispute.funds_withdrawn", -3650, 1500)]
    answers = answers_of(hands, stripe, "pi_1")
    assert answers["GET"]["disputes"] == answers["stale GET"]["disputes"]
    assert answers["stale GET"]["disputes"][0]["net"] == -3650
    assert [answer.get("disputed", True) for answer in answers.values()] == [True] * 4


def test_disputes_and_refunds_are_shown_newest_first_with_and_without_stripe(
    hands: Hands, stripe: Stripe
) -> None:
    disputes = [dispute(id=f"du_{n}", created=LATER + n, amount=n) for n in (1, 3, 2)]
    refunds_made = [refund(id=f"re_{n}", created=LATER + n, amount=n) for n in (2, 1, 3)]
    newest = {"key": lambda one: -one["created"]}
    stripe.holds(
        intent(amount_received=2000, latest_charge=charge(disputed=True, amount_refunded=6)),
        refunds=sorted(refunds_made, **newest),
    )
    stripe.disputes = sorted(disputes, **newest)
    notifications_of(
        hands,
        event("payment_intent.succeeded", intent(amount_received=2000)),
        *(event("charge.dispute.created", one, created=one["created"]) for one in disputes),
        *(event("refund.created", one, created=one["created"]) for one in refunds_made),
    )
    answers = answers_of(hands, stripe, "pi_1")
    for way in ("GET", "stale GET"):
        assert [one["amount"] for one in answers[way]["disputes"]] == [3, 2, 1]
        assert [one["amount"] for one in answers[way]["refunds"]] == [3, 2, 1]
