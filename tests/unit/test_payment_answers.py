"""Answers about payments: what each field is read from, and what without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask import Flask, g

from api import payment_answers
from api.parts import EXTENSION, Parts
from shared.errors import BillingError, CallerError, Misconfigured, Unavailable
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.stripe.translation import RIGHT_MISSING
from tests.conftest import make_settings
from tests.unit.answer_forms import (
    BALANCE_CHANGE_ANSWER,
    MOVED,
    NO_SUMS,
    REFUND,
    REFUND_ANSWER,
    SUMS,
    as_sent,
    without,
)

Json = dict[str, Any]
CHARGE = {
    "id": "ch_1",
    "amount": 1000,
    "amount_captured": 1000,
    "captured": True,
    "receipt_url": "https://example.com/r",
}
INTENT = {
    "id": "pi_1",
    "status": "succeeded",
    "client_secret": "pi_1_secret",
    "amount": 1000,
    "amount_received": 900,
    "currency": "sgd",
    "created": 50,
    "livemode": True,
    "metadata": {"seat": "7"},
    "latest_charge": CHARGE,
}
PAYMENT = {
    "success": True,
    "status": "succeeded",
    "payment_intent_id": "pi_1",
    "client_secret": "pi_1_secret",
    "requires_action": False,
    "next_action": None,
    "amount": 1000,
    "currency": "sgd",
    "charge_id": "ch_1",
    "receipt_url": "https://example.com/r",
    "created": 50,
    "livemode": True,
    "metadata": {"seat": "7"},
}


class Stripe:
    """Stripe, as far as answers look things up there; it keeps the calls it got."""

    def __init__(self) -> None:
        self.objects: Json = {"pi_1": INTENT, "ch_1": CHARGE}
        self.refunds: list[Json] | BillingError = []
        self.disputes: list[Json] | BillingError = []
        self.calls: list[tuple[Any, ...]] = []

    def payment(self, name: str, account: str | None, *, with_fees: bool = False) -> Json:
        self.calls.append((name, account, with_fees))
        return dict(self.objects[name])

    def charge(self, name: str, account: str | None) -> Json:
        self.calls.append((name, account))
        return dict(self.objects[name])

    def refunds_of(self, account: str | None, **owner: str) -> list[Json]:
        self.calls.append(("refunds", account, owner))
        return self._list(self.refunds)

    def disputes_of(self, account: str | None, **owner: str) -> list[Json]:
        self.calls.append(("disputes", account, owner))
        return self._list(self.disputes)

    def _list(self, answer: list[Json] | BillingError) -> list[Json]:
        if isinstance(answer, BillingError):
            raise answer
        return answer


@pytest.fixture
def stripe() -> Stripe:
    return Stripe()


@pytest.fixture(autouse=True)
def parts(fake_store: Store, stripe: Stripe) -> Iterator[Parts]:
    """Answer within an application whose Stripe is the stand-in."""
    app = Flask(__name__)
    built = Parts.build(make_settings(), fake_store)
    built = replace(built, gateway=cast(StripeGateway, stripe))
    app.extensions[EXTENSION] = built
    with app.app_context():
        g.limits = SimpleNamespace(accounts=None)
        yield built


ACTION = {"type": "redirect_to_url"}


@pytest.mark.parametrize(
    ("intent", "changed"),
    [
        (INTENT, {}),
        (INTENT | {"status": "canceled"}, {"status": "canceled", "success": False}),
        (
            INTENT | {"status": "requires_action", "next_action": ACTION},
            {
                "status": "requires_action",
                "success": False,
                "requires_action": True,
                "next_action": ACTION,
            },
        ),
        (INTENT | {"id": "ch_1"}, {"payment_intent_id": None}),
        (INTENT | {"latest_charge": None}, {"charge_id": None, "receipt_url": None}),
        (
            without(INTENT, "client_secret", "metadata", "latest_charge"),
            {"client_secret": None, "metadata": {}, "charge_id": None, "receipt_url": None},
        ),
    ],
)
def test_a_payment_is_read_from_its_intent(intent: Json, changed: Json) -> None:
    assert as_sent(payment_answers.payment_answer(intent)) == PAYMENT | changed


def test_a_canceled_payment_says_why_and_what_came() -> None:
    intent = INTENT | {"cancellation_reason": "abandoned"}
    assert as_sent(payment_answers.canceled_answer(intent)) == PAYMENT | {
        "amount_received": 900,
        "cancellation_reason": "abandoned",
    }
    assert payment_answers.canceled_answer(INTENT).cancellation_reason is None


PARTLY = CHARGE | {"amount_captured": 700}


@pytest.mark.parametrize(
    ("charge", "refunds", "refunded", "asks"),
    [
        (CHARGE, [], 0, False),
        (None, [], 0, False),
        (CHARGE | {"amount_refunded": 300}, [], 300, False),
        (CHARGE | {"amount_refunded": 1300}, [], 1000, False),
        (PARTLY, [], 0, False),
        (PARTLY | {"amount_refunded": 500}, [{"status": "succeeded", "amount": 200}], 200, True),
        (
            PARTLY | {"amount_refunded": 900},
            Misconfigured("No right.", code=RIGHT_MISSING),
            700,
            True,
        ),
    ],
)
def test_a_verdict_says_what_was_given_back(
    stripe: Stripe, charge: Json | None, refunds: Any, refunded: int, asks: bool
) -> None:
    stripe.refunds = refunds
    intent = INTENT | {"latest_charge": charge}
    assert as_sent(payment_answers.verdict(intent, "amount_mismatch", "acct_1")) == {
        "verified": False,
        "payment_intent_id": "pi_1",
        "status": "succeeded",
        "reason": "amount_mismatch",
        "amount": 1000,
        "amount_received": 900,
        "amount_refunded": refunded,
        "currency": "sgd",
    }
    assert stripe.calls == [("refunds", "acct_1", {"payment_intent": "pi_1"})] * asks


def test_a_verdict_without_a_reason_is_good() -> None:
    assert payment_answers.verdict(INTENT, None, None).verified


def know(store: Store, payment_id: str, subjects: Json, **fields: Any) -> None:
    name = store.keys.payment(payment_id)
    store.redis.hset(name, mapping={"known": json.dumps(subjects)} | fields)


@pytest.mark.parametrize(
    ("charge", "let_go", "expected"),
    [
        (CHARGE | {"payment_intent": "pi_1"}, False, ("pi_1", "succeeded")),
        (CHARGE | {"status": "succeeded"}, False, ("ch_1", "succeeded")),
        (CHARGE | {"status": "succeeded"}, True, ("ch_1", "succeeded")),
        ({"id": "ch_1", "status": "succeeded", "amount": 9}, False, ("ch_1", "requires_capture")),
        ({"id": "ch_1", "status": "succeeded", "amount": 9}, True, ("ch_1", "canceled")),
    ],
)
def test_a_payment_is_found_by_its_charge(
    stripe: Stripe, fake_store: Store, charge: Json, let_go: bool, expected: tuple[str, str]
) -> None:
    stripe.objects["ch_1"] = charge
    know(fake_store, "ch_1", {"subjects": {}, "context": {"let_go": let_go}})
    intent = payment_answers.payment_from_stripe("ch_1", "acct_1", with_fees=True)
    assert (intent["id"], intent["status"]) == expected
    of_intent = [("pi_1", "acct_1", True)] * (expected[0] == "pi_1")
    assert stripe.calls == [("ch_1", "acct_1"), *of_intent]


def test_a_payment_is_asked_for_by_its_intent(stripe: Stripe) -> None:
    assert payment_answers.payment_from_stripe("pi_1", None)["id"] == "pi_1"
    assert stripe.calls == [("pi_1", None, False)]


DISPUTE = {"id": "du_1", "status": "lost", "reason": "fraudulent", "amount": 5, "currency": "sgd"}
DISPUTE_ANSWER = {
    "dispute_id": "du_1",
    "status": "lost",
    "reason": "fraudulent",
    "amount": 5,
    "currency": "sgd",
    "due_by": None,
    "created": None,
} | NO_SUMS
REMEMBERED: Json = {
    "subjects": {
        "pi_1": {
            "family": "payment",
            "status": "succeeded",
            "rank": [1, 50],
            "snapshot": without(INTENT, "id", "latest_charge") | {"charge_id": "ch_1"},
            "said": {},
        },
        "re_7": {
            "family": "refund",
            "status": "pending",
            "rank": [1, 60],
            "snapshot": {"amount": 70, "currency": "sgd"},
            "said": {},
        },
        "du_1": {
            "family": "dispute",
            "status": "lost",
            "rank": [1, 70],
            "snapshot": without(DISPUTE, "id") | {"due_by": 86_400},
            "said": {},
        },
        "ch_1:settlement": {
            "family": "settlement",
            "status": "settled",
            "rank": [1, 80],
            "snapshot": SUMS | {"available_on": 1_772_539_200},
            "said": {},
        },
    },
    "context": {"account": "acct_1"},
}
REFUND_REMEMBERED = dict.fromkeys(REFUND_ANSWER) | {
    "refund_id": "re_7",
    "status": "pending",
    "amount": 70,
    "currency": "sgd",
    "payment_intent_id": "pi_1",
    "attempts": 0,
    "metadata": {},
}
LINE = [{"kind": "payment_requested"}]


def test_details_are_stripes(stripe: Stripe, fake_store: Store) -> None:
    stripe.objects["pi_1"] = INTENT | {
        "amount_capturable": 6,
        "cancellation_reason": "abandoned",
        "latest_charge": CHARGE | {"disputed": True, "balance_transaction": MOVED | {"fee": 85}},
    }
    stripe.refunds = [REFUND | {"balance_transaction": MOVED | {"net": -300}}]
    evidence = {"evidence_details": {"due_by": 86_400}, "created": 9}
    stripe.disputes = [DISPUTE | evidence | {"balance_transactions": [MOVED | {"net": -5}]}]
    know(fake_store, "pi_1", REMEMBERED)
    details = as_sent(payment_answers.details_from_stripe("pi_1", "acct_1", LINE))
    as_of = datetime.fromisoformat(details.pop("as_of"))
    assert abs(as_of.timestamp() - fake_store.now_ms() / 1000) < 60
    disputed = (
        {"due_by": "1970-01-02T00:00:00Z", "created": 9} | BALANCE_CHANGE_ANSWER | {"net": -5}
    )
    assert details == PAYMENT | BALANCE_CHANGE_ANSWER | {
        "fee": 85,
        "amount_received": 900,
        "amount_capturable": 6,
        "amount_refunded": 300,
        "cancellation_reason": "abandoned",
        "account": "acct_1",
        "refunds": [REFUND_ANSWER | BALANCE_CHANGE_ANSWER | {"net": -300}],
        "disputes": [DISPUTE_ANSWER | disputed],
        "disputed": True,
        "timeline": LINE,
        "stale": False,
    }
    owner = {"payment_intent": "pi_1"}
    assert stripe.calls == [
        ("pi_1", "acct_1", True),
        ("refunds", "acct_1", owner),
        ("disputes", "acct_1", owner),
    ]


NO_RIGHT = [Misconfigured("No right.", code=RIGHT_MISSING), CallerError("No account.", status=403)]


@pytest.mark.parametrize("refusal", NO_RIGHT, ids=lambda one: type(one).__name__)
def test_what_our_key_may_not_read_is_remembered(
    stripe: Stripe, fake_store: Store, refusal: BillingError
) -> None:
    stripe.objects["pi_1"] = INTENT | {
        "latest_charge": CHARGE | {"disputed": True, "amount_refunded": 70}
    }
    stripe.refunds = stripe.disputes = refusal
    know(fake_store, "pi_1", REMEMBERED)
    details = as_sent(payment_answers.details_from_stripe("pi_1", None, []))
    assert (details["amount_refunded"], details["refunds"]) == (70, [REFUND_REMEMBERED])
    assert details["disputes"] == [DISPUTE_ANSWER | {"due_by": "1970-01-02T00:00:00Z"}]
    assert {name: details[name] for name in BALANCE_CHANGE_ANSWER} == BALANCE_CHANGE_ANSWER


@pytest.mark.parametrize("list_name", ["refunds", "disputes"])
def test_another_refusal_is_no_lack_of_rights(stripe: Stripe, list_name: str) -> None:
    stripe.objects["pi_1"] = INTENT | {"latest_charge": CHARGE | {"disputed": True}}
    setattr(stripe, list_name, CallerError("No such payment.", status=404))
    with pytest.raises(CallerError, match="No such payment"):
        payment_answers.details_from_stripe("pi_1", None, [])


def test_a_payment_that_is_not_disputed_is_not_asked_for_disputes(stripe: Stripe) -> None:
    stripe.objects["ch_1"] = without(CHARGE, "receipt_url") | {
        "status": "succeeded",
        "currency": "sgd",
        "created": 5,
        "livemode": False,
    }
    details = payment_answers.details_from_stripe("ch_1", None, [])
    assert (details.disputes, details.disputed, details.amount_capturable) == ([], False, 0)
    assert stripe.calls == [("ch_1", None), ("refunds", None, {"charge": "ch_1"})]


def test_with_stripe_down_the_stored_state_is_told_as_stale(fake_store: Store) -> None:
    know(fake_store, "pi_1", REMEMBERED, updated_at=86_400_000)
    fake_store.redis.set(fake_store.keys.intent_of("ch_1"), "pi_1")
    expected = (
        PAYMENT
        | BALANCE_CHANGE_ANSWER
        | {
            "receipt_url": None,
            "amount_received": 900,
            "amount_capturable": 0,
            "amount_refunded": 70,
            "cancellation_reason": None,
            "account": "acct_1",
            "refunds": [REFUND_REMEMBERED],
            "disputes": [DISPUTE_ANSWER | {"due_by": "1970-01-02T00:00:00Z"}],
            "disputed": True,
            "timeline": LINE,
            "stale": True,
            "as_of": "1970-01-02T00:00:00Z",
        }
    )
    for name in ("pi_1", "ch_1"):
        assert as_sent(payment_answers.details_remembered(name, LINE)) == expected


def test_the_account_of_a_remembered_payment_is_guarded(fake_store: Store) -> None:
    know(fake_store, "pi_1", REMEMBERED)
    g.limits = SimpleNamespace(accounts=("acct_1",))
    assert payment_answers.details_remembered("pi_1", []).account == "acct_1"
    g.limits = SimpleNamespace(accounts=("acct_2",))
    with pytest.raises(CallerError, match="account"):
        payment_answers.details_remembered("pi_1", [])


def test_a_dispute_and_a_mode_that_nothing_says_are_told_as_such(fake_store: Store) -> None:
    subjects = REMEMBERED["subjects"]
    payment = subjects["pi_1"] | {"snapshot": without(subjects["pi_1"]["snapshot"], "livemode")}
    dispute = subjects["du_1"] | {"snapshot": without(DISPUTE, "id")}
    state = REMEMBERED | {"subjects": subjects | {"pi_1": payment, "du_1": dispute}}
    know(fake_store, "pi_1", state)
    details = payment_answers.details_remembered("pi_1", [])
    assert (details.livemode, [one.due_by for one in details.disputes]) == (False, [None])


@pytest.mark.parametrize("missing", [None, "status", "amount", "currency"])
def test_half_a_payment_is_not_told(fake_store: Store, missing: str | None) -> None:
    if missing:
        snapshot = without(REMEMBERED["subjects"]["pi_1"]["snapshot"], missing)
        state = REMEMBERED["subjects"]["pi_1"] | {"snapshot": snapshot}
        state |= {"status": None} if missing == "status" else {}
        know(fake_store, "pi_1", {"subjects": {"pi_1": state}})
    with pytest.raises(Unavailable) as error:
        payment_answers.details_remembered("pi_1", [])
    assert (error.value.code, error.value.retry_after_seconds) == ("stripe_unreachable", 5)
    assert str(error.value) == (
        "stripe_unreachable: "
        "Stripe does not answer, and no webhook has reported this payment yet; try again."
    )
