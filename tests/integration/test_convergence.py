"""Whatever happens to Stripe's events on their way, the final state and notifications are the same.

`CONVERGENCE_EXAMPLES=1000 pytest tests/integration/test_convergence.py` tries more plans,
other ones each time; the suite repeats the same few, and more of them by `bin/test --long`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from examples.receivers.receiver import apply
from shared.work.payment_index import members
from tests.depth import cases
from tests.integration import lives
from tests.integration.hands import Hands
from tests.integration.turmoil import SEAMS, Outcome, Plan, Turmoil, payment_of_key, plans

Json = dict[str, Any]
EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", cases(2, 12)))
LOOK_LONGER = "CONVERGENCE_EXAMPLES" in os.environ


@dataclass(frozen=True)
class Telling:
    """The notifications of a life: those that must be sent, and those that may be."""

    course: Callable[[lives.Stripe], None]
    must: tuple[str, ...]
    may: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    also: Callable[[list[Json]], list[Json]] = list


def partly_captured_before(events: list[Json]) -> list[Json]:
    """Add two captures before the last one, as Stripe reports several captures of one hold."""
    hold = next(e for e in events if e["type"] == CAPTURABLE)
    at = events.index(hold) + 1
    parts = []
    for number, received in enumerate((200, 400)):
        amounts = {"amount_received": received, "amount_capturable": 1000 - received}
        changed = {"id": f"evt_part{number}", "created": hold["created"] + 1 + number}
        parts.append(hold | changed | {"data": {"object": hold["data"]["object"] | amounts}})
    return events[:at] + parts + events[at:]


def also_canceled(events: list[Json]) -> list[Json]:
    """Let a cancellation race the success, and both have events."""
    payment = next(e for e in events if e["type"] == "payment_intent.succeeded")
    canceled = {"status": "canceled", "amount_received": 0, "latest_charge": None}
    head = {"id": "evt_race", "type": "payment_intent.canceled"}
    data = {"object": payment["data"]["object"] | canceled}
    at = events.index(payment)
    return [*events[:at], payment | head | {"data": data}, *events[at:]]


CAPTURABLE = "payment_intent.amount_capturable_updated"
OPENED = ("dispute.opened", "dispute.updated")
TYPES_OF_A_PAYMENT = ("payment.succeeded", "payment.settled")
CHARGEBACK = (*TYPES_OF_A_PAYMENT, "dispute.funds_withdrawn")
TELLINGS = {
    "paid": Telling(lives.plain_payment, TYPES_OF_A_PAYMENT),
    "declined twice, then paid": Telling(
        lives.declined_then_paid, TYPES_OF_A_PAYMENT, ("payment.failed",) * 2
    ),
    "paid with 3D Secure, at the second try": Telling(
        lives.paid_with_3d_secure,
        TYPES_OF_A_PAYMENT,
        ("payment.requires_action", "payment.requires_action", "payment.failed"),
    ),
    "refunded in parts": Telling(
        lives.refunded_in_parts,
        (*TYPES_OF_A_PAYMENT, "refund.succeeded", "refund.succeeded"),
        ("refund.pending",) * 2,
    ),
    "refunded in parts, heard by charge.refunded alone": Telling(
        lives.refunded_at_once,
        (*TYPES_OF_A_PAYMENT, "refund.succeeded", "refund.succeeded"),
        unheard=("refund.created", "refund.updated", "charge.refund.updated"),
    ),
    "refunded, and the refund failed late": Telling(
        lives.refunded_in_vain, (*TYPES_OF_A_PAYMENT, "refund.failed"), ("refund.succeeded",)
    ),
    "disputed and won": Telling(
        lives.dispute_won, (*CHARGEBACK, "dispute.won", "dispute.funds_reinstated"), OPENED
    ),
    "disputed and lost": Telling(lives.dispute_lost, (*CHARGEBACK, "dispute.lost"), OPENED),
    "asked about, then disputed and lost": Telling(
        lives.inquiry_escalated, (*CHARGEBACK, "dispute.lost"), (*OPENED, "dispute.updated")
    ),
    "checked out with a debit": Telling(
        lives.checkout_with_debit,
        (*TYPES_OF_A_PAYMENT, "checkout.payment_succeeded"),
        ("payment.processing", "checkout.completed"),
    ),
    "checked out with a debit that failed": Telling(
        lives.checkout_with_failing_debit,
        ("payment.failed", "checkout.payment_failed"),
        ("payment.processing", "checkout.completed"),
    ),
    "checked out with a card": Telling(
        lives.checkout_with_card, (*TYPES_OF_A_PAYMENT, "checkout.completed")
    ),
    "held and captured in part": Telling(
        lives.hold_captured, TYPES_OF_A_PAYMENT, ("payment.authorized",)
    ),
    "held and captured in several parts": Telling(
        lives.hold_captured,
        TYPES_OF_A_PAYMENT,
        ("payment.authorized", *["payment.partially_captured"] * 2),
        also=partly_captured_before,
    ),
    "warned of, and refunded": Telling(
        lives.warned_and_refunded,
        (*TYPES_OF_A_PAYMENT, "payment.fraud_warning", "refund.succeeded"),
        ("payment.fraud_warning",),
    ),
    "put under review, and approved": Telling(
        lives.reviewed, (*TYPES_OF_A_PAYMENT, "payment.review_closed"), ("payment.review_opened",)
    ),
    "canceled while it succeeded": Telling(
        lives.plain_payment, TYPES_OF_A_PAYMENT, ("payment.canceled",), also=also_canceled
    ),
    "held and canceled": Telling(
        lives.hold_canceled, ("payment.canceled",), ("payment.authorized",)
    ),
}
# A notification of a subject never comes after the one that superseded it.
ATTEMPTS = {
    "payment.failed",
    "payment.requires_action",
    "payment.processing",
    "payment.authorized",
    "payment.partially_captured",
}
NEVER_AFTER = {
    "payment.succeeded": ATTEMPTS | {"payment.canceled"},
    "payment.canceled": ATTEMPTS,
    "refund.succeeded": {"refund.pending"},
    "refund.failed": {"refund.pending", "refund.succeeded"},
    "dispute.won": set(OPENED),
    "dispute.lost": set(OPENED),
    "payment.review_closed": {"payment.review_opened"},
    "checkout.payment_succeeded": {"checkout.completed"},
    "checkout.payment_failed": {"checkout.completed"},
}
SUBJECTS = (
    "refund_id",
    "dispute_id",
    "checkout_session_id",
    "fraud_warning_id",
    "review_id",
    "payment_intent_id",
)


@pytest.mark.deep
@pytest.mark.parametrize("life", TELLINGS)
def test_every_order_repeat_delay_and_death_ends_in_the_same_truth(
    hands: Hands, sandbox: str, monkeypatch: pytest.MonkeyPatch, life: str
) -> None:
    telling = TELLINGS[life]
    turmoil = lived(hands, sandbox, telling, monkeypatch)
    count = len(turmoil.events)
    calm = turmoil.live(Plan(range(count)))
    calm_second = turmoil.live(Plan(range(count), one_second=True))
    assert Counter(types(calm)) == Counter(telling.must + telling.may)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=not LOOK_LONGER,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(plans(count))
    @example(Plan(range(count - 1, -1, -1)))
    @example(Plan(range(count - 1, -1, -1), one_second=True))
    @example(Plan([*range(count)] * 2, mishaps=frozenset((seam, 0) for seam in SEAMS)))
    def live_through(plan: Plan) -> None:
        outcome = turmoil.live(plan)
        assert outcome.state == (calm_second if plan.one_second else calm).state
        assert_well_told(outcome, telling, patient=plan.patient)
        assert_index_is_in_step(turmoil.hands)
        before = calm_second if plan.one_second else calm
        assert_a_receiver_ends_well(first_hearings(before), first_hearings(outcome))

    live_through()


def assert_index_is_in_step(hands: Hands) -> None:
    """Compare the index of payments with their states."""
    store, payments = hands.runtime.store, hands.runtime.payments
    ids = {payment_of_key(name) for name in store.redis.keys("*:payment:*")}
    indexed = hands.runtime.settings.indexed_metadata
    target = {one for record in payments.read_many(sorted(ids)) for one in members(record, indexed)}
    assert set(store.redis.zrange(store.keys.payment_index(), 0, -1)) == target


def lived(hands: Hands, sandbox: str, telling: Telling, monkeypatch: pytest.MonkeyPatch) -> Turmoil:
    """Play a life at the sandbox; return the turmoil for its events."""
    events = lives.live(sandbox, telling.course)
    events = telling.also(events)
    deliveries = [event for event in events if event["type"] not in telling.unheard]
    turmoil = Turmoil(hands, deliveries, events, monkeypatch)
    turmoil.install()
    return turmoil


def types(outcome: Outcome) -> list[str]:
    return [notification["type"] for notification in first_hearings(outcome)]


def first_hearings(outcome: Outcome) -> list[Json]:
    """Dedupe by id, as the event service does; a repeat must have the same bytes."""
    by_id: dict[str, Json] = {}
    for notification in outcome.notifications:
        assert by_id.setdefault(notification["id"], notification) == notification
    return list(by_id.values())


def assert_well_told(outcome: Outcome, telling: Telling, *, patient: bool) -> None:
    notification = Counter(types(outcome))
    must, may = Counter(telling.must), Counter(telling.may)
    assert notification >= must, f"missing: {must - notification}"
    assert notification <= must + may, f"too much: {notification - must - may}"
    hearings = first_hearings(outcome)
    sequences = [item["sequence"] for item in hearings]
    assert sequences == sorted(set(sequences))
    assert {item["data"]["event_id"] for item in hearings} == {"evening"}
    if patient:
        assert hearings[0]["type"].startswith(("payment.", "checkout."))
    for place, earlier in enumerate(hearings):
        for later in hearings[place + 1 :]:
            if subject(earlier) == subject(later):
                assert later["type"] not in NEVER_AFTER.get(earlier["type"], ())


def assert_a_receiver_ends_well(calm: list[Json], hearings: list[Json]) -> None:
    """Check the rule of docs/receiver.md: a late notification never replaces a later state.

    A notification that was redriven comes after later ones. When Redis was lost after some of the
    `calm` notifications, all are sent again, and `sequence` starts at 1 again.
    """
    target = standing(calm)
    assert standing(hearings[::-1]) == standing(hearings) == target
    for lost_after in range(len(calm)):
        assert standing(calm[:lost_after] + hearings) == target


def standing(hearings: list[Json]) -> dict[str, str]:
    """Return the last type of each object, as known by a receiver that accepts each id once."""
    state: dict[str, Json] = {}
    for notification in {
        notification["id"]: notification for notification in reversed(hearings)
    }.values():
        apply(state, notification)
    return {key: fact["type"] for key, fact in state.items()}


def subject(notification: Json) -> str:
    return next(str(notification["data"][name]) for name in SUBJECTS if notification["data"][name])


def test_every_seam_is_one_where_a_process_really_dies(
    hands: Hands, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turmoil = lived(hands, sandbox, TELLINGS["refunded in parts"], monkeypatch)
    turmoil.live(Plan(range(len(turmoil.events))))
    assert set(SEAMS) <= set(turmoil.passed)
