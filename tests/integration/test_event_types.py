"""Every event type, in the form that Stripe sends, through the webhook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from shared.errors import CallerError
from shared.stripe.gateway import StripeGateway
from tests.contract import tools
from tests.contract.oracle import Oracle
from tests.fixtures.record import FOLDER, is_moment, record
from tests.integration.hands import Hands
from tests.servers import ROOT
from worker.registry import handled_types

Json = dict[str, Any]
# Metadata of all payments of the fixtures.
WHOSE = {"event_id": "evening", "user_id": "u1"}
CARD_DECLINED = "Your card was declined."

# The notification of each type of event: its type and the fields of its data that matter.
NOTIFIED: dict[str, tuple[str, Json]] = {
    "payment_intent.succeeded": (
        "payment.succeeded",
        {"status": "succeeded", "amount": 1000, "currency": "sgd", "customer_email": "a@b.sg"},
    ),
    "payment_intent.payment_failed": (
        "payment.failed",
        {
            "status": "requires_payment_method",
            "failure_code": "generic_decline",
            "failure_message": CARD_DECLINED,
        },
    ),
    "payment_intent.canceled": ("payment.canceled", {"status": "canceled"}),
    "payment_intent.processing": (
        "payment.processing",
        {"status": "processing", "currency": "eur"},
    ),
    "payment_intent.requires_action": ("payment.requires_action", {"status": "requires_action"}),
    "payment_intent.amount_capturable_updated": (
        "payment.authorized",
        {"status": "requires_capture", "amount": 1000},
    ),
    "charge.refunded": (
        "refund.pending",
        {"status": "pending", "amount": 300, "amount_refunded": 300},
    ),
    "refund.created": ("refund.pending", {"status": "pending", "amount": 300}),
    "refund.updated": ("refund.succeeded", {"status": "succeeded", "amount_refunded": 300}),
    "charge.refund.updated": ("refund.succeeded", {"status": "succeeded", "amount": 300}),
    "refund.failed": (
        "refund.failed",
        {"status": "failed", "failure_code": "expired_or_canceled_card", "amount_refunded": 0},
    ),
    "charge.dispute.created": (
        "dispute.opened",
        {"status": "needs_response", "amount": 1000, "failure_code": "fraudulent"},
    ),
    "charge.dispute.updated": ("dispute.updated", {"status": "under_review"}),
    "charge.dispute.closed": ("dispute.won", {"status": "won"}),
    "charge.dispute.funds_withdrawn": ("dispute.funds_withdrawn", {"amount": 1000}),
    "charge.dispute.funds_reinstated": ("dispute.funds_reinstated", {"amount": 1000}),
    "checkout.session.completed": (
        "checkout.completed",
        {"status": "unpaid", "amount": 1500, "customer_email": "jenny@example.com"},
    ),
    "checkout.session.expired": ("checkout.expired", {"status": "unpaid", "amount": 1500}),
    "checkout.session.async_payment_succeeded": (
        "checkout.payment_succeeded",
        {"status": "paid", "currency": "eur"},
    ),
    "checkout.session.async_payment_failed": ("checkout.payment_failed", {"status": "unpaid"}),
    "radar.early_fraud_warning.created": (
        "payment.fraud_warning",
        {"status": "actionable", "reason": "misc"},
    ),
    "radar.early_fraud_warning.updated": ("payment.fraud_warning", {"status": "not_actionable"}),
    "review.opened": ("payment.review_opened", {"status": "open", "reason": "rule"}),
    "review.closed": ("payment.review_closed", {"status": "closed", "reason": "approved"}),
    "charge.captured": ("payment.settled", {"fee": 84, "net": 916, "amount_received": 600}),
    "charge.updated": (
        "payment.settled",
        {"fee": 84, "net": 916, "settlement_currency": "sgd", "amount_received": 1000},
    ),
}
# The other types are processed and give no notification, each for a reason.
THE_INTENT_TELLS = "the payment intent's own event tells the same"
TIMELINE = "it changes nothing that anybody must hear of"
SILENT = {
    "payment_intent.created": "nothing has happened to the money yet",
    "charge.succeeded": THE_INTENT_TELLS,
    "charge.failed": THE_INTENT_TELLS,
    "charge.expired": THE_INTENT_TELLS,
    "charge.pending": TIMELINE,
}
# Amounts that a payment of the fixtures moved in the balance.
BOOKED = {"fee": 84, "net": 916, "currency": "sgd", "available_on": 1_772_539_200}
# The field of a notification's data that has the id of the event's object.
ID_FIELDS = {
    "payment_intent": "payment_intent_id",
    "refund": "refund_id",
    "dispute": "dispute_id",
    "checkout.session": "checkout_session_id",
    "radar.early_fraud_warning": "fraud_warning_id",
    "review": "review_id",
}


def fixture(event_type: str) -> Json:
    event: Json = json.loads((FOLDER / f"{event_type}.json").read_text())
    return event


@pytest.fixture(autouse=True)
def look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer the worker's look-ups from the fixtures; the sandbox does not know these objects."""
    refund = fixture("refund.created")["data"]["object"]
    intents = [fixture(name)["data"]["object"] for name in NOTIFIED if "payment_intent" in name]

    def refunds_of(_: object, account: str | None = None, **owner: str) -> list[Json]:
        assert (account, owner) == (None, {"charge": refund["charge"]})
        return [refund]

    def payment(_: object, payment_id: str, account: str | None = None) -> Json:
        for intent in intents:
            if intent["id"] == payment_id:
                return dict(intent)
        # A life without a recorded event of its intent; its events share metadata and address.
        return intents[0] | {"id": payment_id}

    monkeypatch.setattr(StripeGateway, "refunds_of", refunds_of)
    monkeypatch.setattr(StripeGateway, "payment", payment)
    monkeypatch.setattr(StripeGateway, "balance_transaction", lambda *_: dict(BOOKED))
    monkeypatch.setattr("worker.events.PAYMENT_PATIENCE_SECONDS", 0.0)


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Return Stripe's own description, or skip with the reason."""
    problem = tools.fetch()
    if not tools.DESCRIPTION.exists():
        pytest.skip(f"Stripe's description cannot be fetched here: {problem[-300:]}")
    return Oracle.load(tools.DESCRIPTION)


@pytest.mark.parametrize("event_type", handled_types())
def test_each_fixture_is_what_stripes_description_says(event_type: str, oracle: Oracle) -> None:
    assert oracle.judge_event(fixture(event_type)).complaints == ()


def test_each_fixture_is_what_the_sandbox_says_today(sandbox: str) -> None:
    on_file = {path.stem: timeless(fixture(path.stem)) for path in FOLDER.iterdir()}
    events = {name: timeless(event) for name, event in record(sandbox).items()}
    assert events == on_file, "if that is right: python -m tests.fixtures.record"


def test_every_handled_type_is_either_told_or_silent_for_a_reason() -> None:
    assert sorted([*NOTIFIED, *SILENT]) == handled_types()
    assert sorted(path.stem for path in FOLDER.iterdir()) == handled_types()


@pytest.mark.parametrize("event_type", NOTIFIED)
def test_a_type_is_told_once_and_in_full(hands: Hands, event_type: str) -> None:
    event = fixture(event_type)
    told_type, expected = NOTIFIED[event_type]
    for _ in range(2):
        assert hands.post_event(event).status_code == 200
    hands.work()

    (news,) = hands.notifications(with_fees=True)
    data = news["body"]["data"]
    subject = event["data"]["object"]
    about = ID_FIELDS.get(subject["object"])
    assert news["signature"] == "valid"
    assert news["body"]["type"] == told_type
    assert {name: data[name] for name in expected | WHOSE} == expected | WHOSE
    assert about is None or data[about] == subject["id"]
    assert data["payment_intent_id"] == payment_intent_of(subject)
    assert data["stripe_event_id"] == event["id"]
    assert state_of(hands, event) == "processed"


@pytest.mark.parametrize("event_type", SILENT)
def test_a_type_of_no_news_is_processed_in_silence(hands: Hands, event_type: str) -> None:
    event = fixture(event_type)
    assert hands.post_event(event).status_code == 200
    hands.work()

    payment = payment_intent_of(event["data"]["object"])
    timeline = hands.runtime.payments.timeline(payment)
    assert hands.notified_types() == []
    assert state_of(hands, event) == "processed"
    assert [item["kind"] for item in timeline] == ["event_received", "event_processed"]


@pytest.mark.parametrize(
    ("event_type", "changes", "news"),
    [
        ("charge.succeeded", {}, "payment.succeeded"),
        ("charge.failed", {}, "payment.failed"),
        ("charge.succeeded", {"captured": False, "amount_captured": 0}, "payment.authorized"),
        ("charge.captured", {}, "payment.succeeded"),
        ("charge.expired", {}, "payment.canceled"),
    ],
)
def test_a_charge_without_an_intent_is_told_itself(
    hands: Hands, event_type: str, changes: Json, news: str
) -> None:
    event = fixture(event_type)
    event["data"]["object"] |= {"payment_intent": None, "balance_transaction": None} | changes
    hands.post_event(event)
    hands.work()

    (notification,) = hands.notifications()
    assert notification["type"] == news
    assert notification["body"]["data"]["charge_id"] == event["data"]["object"]["id"]
    assert notification["body"]["data"]["payment_intent_id"] is None


def test_a_charge_without_an_intent_succeeds_once_however_it_was_captured(hands: Hands) -> None:
    charged, captured = fixture("charge.succeeded"), fixture("charge.captured")
    charge = captured["data"]["object"] | {"payment_intent": None, "balance_transaction": None}
    captured["data"]["object"] = charge
    charged["data"]["object"] = charge | {"captured": False, "amount_captured": 0}
    updated = captured | {"id": "evt_updated", "type": "charge.updated"}
    for event in (captured, updated, charged):
        hands.post_event(event)
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


def test_a_refund_of_a_status_nobody_knows_does_not_kill_its_event(hands: Hands) -> None:
    event = fixture("refund.updated")
    event["data"]["object"]["status"] = "teleported"
    hands.post_event(event)
    hands.work()

    payment = event["data"]["object"]["payment_intent"]
    subjects = hands.runtime.payments.read(payment).known["subjects"]
    assert hands.notified_types() == []
    assert state_of(hands, event) == "processed"
    assert subjects[event["data"]["object"]["id"]]["status"] == "teleported"


def test_a_refund_is_told_though_its_payment_cannot_be_looked_up(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> Json:
        raise CallerError("No such payment_intent.", status=404, code="resource_missing")

    monkeypatch.setattr(StripeGateway, "payment", missing)
    hands.post_event(fixture("refund.updated"))
    hands.work()
    assert hands.notified_types() == ["refund.succeeded"]


@pytest.mark.parametrize("answer", ["nothing", "another refund"])
def test_a_refund_that_stripe_does_not_list_yet_is_waited_for(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    looks: list[str] = []
    refund = fixture("refund.created")["data"]["object"]

    def refunds_of(*_: object, **__: object) -> list[Json]:
        looks.append(answer)
        if len(looks) > 1:
            return [refund]
        return [refund | {"id": "re_other", "amount": 1}] if answer == "another refund" else []

    monkeypatch.setattr("worker.handlers.charge.LOOK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(StripeGateway, "refunds_of", refunds_of)
    event = fixture("charge.refunded")
    hands.post_event(event)
    hands.work()

    assert len(looks) == 2
    assert hands.notified_types() == ["refund.pending"]
    assert hands.runtime.inbox.work.claim(event["id"]) is None
    assert hands.runtime.store.hash(f"{{billing}}:event:{event['id']}")["attempts"] == "1"


def test_a_hold_that_is_released_is_no_refund(hands: Hands) -> None:
    event = fixture("charge.refunded")
    event["data"]["object"] |= {"captured": False, "amount_captured": 0}
    hands.post_event(event)
    hands.work()
    assert (hands.notified_types(), state_of(hands, event)) == ([], "processed")


def test_an_inquiry_and_its_chargeback_are_one_dispute(hands: Hands) -> None:
    opened, closed = fixture("charge.dispute.created"), fixture("charge.dispute.closed")
    opened["data"]["object"]["status"] = "warning_needs_response"
    grown = fixture("charge.dispute.updated")
    grown["data"]["object"]["status"] = "needs_response"
    for event in (opened, grown, fixture("charge.dispute.funds_withdrawn"), closed):
        hands.post_event(event)
    hands.work()
    news = [item["body"] for item in hands.notifications()]
    assert [(item["type"], item["data"]["status"]) for item in news] == [
        ("dispute.opened", "warning_needs_response"),
        ("dispute.updated", "needs_response"),
        ("dispute.funds_withdrawn", "needs_response"),
        ("dispute.won", "won"),
    ]


def test_a_closed_inquiry_is_closed_without_a_winner(hands: Hands) -> None:
    closed = fixture("charge.dispute.closed")
    closed["data"]["object"]["status"] = "warning_closed"
    hands.post_event(closed)
    hands.work()
    assert hands.notified_types() == ["dispute.closed"]


def test_an_update_that_comes_after_the_end_is_not_told(hands: Hands) -> None:
    for name in ("closed", "updated", "created"):
        hands.post_event(fixture(f"charge.dispute.{name}"))
    hands.work()
    assert hands.notified_types() == ["dispute.won"]


def test_a_lost_dispute_that_is_appealed_is_told_again(hands: Hands) -> None:
    lost = fixture("charge.dispute.closed")
    lost["data"]["object"]["status"] = "lost"
    later = {"created": lost["created"] + 86_400}
    appealed = fixture("charge.dispute.updated") | {"id": "evt_appealed"} | later
    appealed["data"]["object"]["status"] = "appeal_under_review"
    won = fixture("charge.dispute.closed") | {"id": "evt_won", "created": later["created"] + 60}
    for event in (lost, appealed, won):
        hands.post_event(event)
        hands.work()
    assert hands.notified_types() == ["dispute.lost", "dispute.updated", "dispute.won"]


def test_an_update_of_a_dispute_that_is_won_says_so_once(hands: Hands) -> None:
    updated = fixture("charge.dispute.updated")
    updated["data"]["object"]["status"] = "won"
    for event in (updated, fixture("charge.dispute.closed")):
        hands.post_event(event)
        hands.work()
    assert hands.notified_types() == ["dispute.won"]


def test_two_attempts_of_one_second_are_both_told(hands: Hands) -> None:
    failed, authentication = (
        fixture("payment_intent.payment_failed"),
        fixture("payment_intent.requires_action"),
    )
    authentication["data"]["object"]["id"] = failed["data"]["object"]["id"]
    authentication["created"] = failed["created"]
    for event in (failed, authentication):
        hands.post_event(event)
        hands.work()
    assert hands.notified_types() == ["payment.failed", "payment.requires_action"]


def test_a_failure_that_comes_after_success_stays_in_the_timeline(hands: Hands) -> None:
    failed, succeeded = (
        fixture("payment_intent.payment_failed"),
        fixture("payment_intent.succeeded"),
    )
    failed["data"]["object"]["id"] = payment = succeeded["data"]["object"]["id"]
    failed["created"] = succeeded["created"]
    for event in (succeeded, failed):
        hands.post_event(event)
        hands.work()
    timeline = hands.runtime.payments.timeline(payment)
    assert hands.notified_types() == ["payment.succeeded"]
    assert "event_late" in [item["kind"] for item in timeline]


def payment_intent_of(subject: Json) -> Any:
    return subject["id"] if subject["object"] == "payment_intent" else subject["payment_intent"]


def timeless(value: Any) -> Any:
    """Leave the times out: a second may pass between any two of them."""
    if isinstance(value, dict):
        return {name: timeless(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [timeless(inner) for inner in value]
    return "a moment" if is_moment(value) else value


def state_of(hands: Hands, event: Json) -> str:
    return hands.runtime.store.hash(f"{{billing}}:event:{event['id']}")["state"]


def test_the_set_up_lists_exactly_what_is_handled() -> None:
    listing = subprocess.run(
        [str(ROOT / "bin/stripe-events")],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listing.stdout.split() == handled_types()
