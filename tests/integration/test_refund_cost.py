"""The calls to Stripe for one refund: it is made, and read once with its balance transaction.

The sandbox settles Singapore dollars in US dollars, at 0.74.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from shared import known_refunds
from shared.settings import Settings
from shared.stripe.gateway import StripeGateway
from tests.integration import batching as b
from tests.integration.hands import Hands
from worker import refund_batches

Json = dict[str, Any]
CREATE = "refunds.create"
READ = "refunds.retrieve"
RETRIEVE = "balance_transactions.retrieve"
LIST = "refunds.list"
EVENTS = ("charge.refunded", "refund.created")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with which what got no answer is repeated at once, not after 5 s."""
    return settings.model_copy(update={"retry_cap_seconds": 0.05})


def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the calls to Stripe from now on."""
    ask, calls = StripeGateway._ask_now, list[str]()  # the seam of every call

    def noting(self: StripeGateway, operation: str, *rest: Any) -> Any:
        calls.append(operation)
        return ask(self, operation, *rest)

    monkeypatch.setattr(StripeGateway, "_ask_now", noting)
    return calls


def hear(hands: Hands, *types: str) -> None:
    """Process the events of these types one after another, in this order."""
    for type_ in types:
        hands.deliver_events(type_)
        hands.work()


def refund_of(hands: Hands) -> Json:
    (notified,) = hands.notifications(type="refund.succeeded")
    return dict(notified["body"]["data"])


@pytest.mark.parametrize("events", [EVENTS, EVENTS[::-1], EVENTS[:1], EVENTS[1:]])
def test_the_events_of_our_own_refund_look_nothing_up(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, events: tuple[str, ...]
) -> None:
    """Its fee is notified all the same, whichever of the events is subscribed to."""
    (payment,) = b.pay(hands, 1)
    calls = called(monkeypatch)
    b.run(hands, b.started(hands, payments=[payment]))
    assert calls == [CREATE, READ]
    hear(hands, *events)
    assert calls == [CREATE, READ]
    notified = refund_of(hands)
    assert (notified["amount"], notified["amount_refunded"], notified["net"]) == (1000, 1000, -740)
    assert notified["stripe_event_id"]


def test_the_answer_to_our_refund_is_known_before_its_events(hands: Hands) -> None:
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment])
    b.run(hands, batch)
    again = b.start(hands, payments=[payment], dry_run=True).get_json()
    assert again["left_out"] == {"already_refunded": 1}
    assert hands.notifications(type="refund.succeeded") == []


@pytest.mark.parametrize("events", [EVENTS, EVENTS[::-1]])
def test_an_event_before_the_answer_is_not_late(hands: Hands, events: tuple[str, ...]) -> None:
    """An answer that comes after the refund's events changes nothing, and is no late event."""
    (payment,) = b.pay(hands, 1)
    hands.break_stripe(kind="disconnect", phase="after", method="POST", path_prefix="/v1/refunds")
    batch = b.started(hands, payments=[payment])
    refund_batches.run_once(hands.runtime)
    hands.ring()  # the first attempt, which hears no answer
    for type_ in events:
        hands.deliver_events(type_)
    hands.ring()  # the events, and then the refund again
    assert b.run(hands, batch)["counts"]["refunded"] == 1
    answer = hands.client.get(f"/api/payment/{payment}").get_json()
    kinds = [one["kind"] for one in answer["timeline"]]
    assert (kinds.count("event_late"), kinds.count("refund_finished")) == (0, 1)
    assert len(hands.notifications(type="refund.succeeded")) == 1


def test_a_balance_transaction_keeps_its_time_when_a_later_event_brings_it_again(
    hands: Hands,
) -> None:
    """Otherwise the state would depend on which event looked it up, and which found it known."""
    (payment,) = b.pay(hands, 1)
    refund = b.refund_at_stripe(hands, payment, 400)
    hear(hands, "refund.created")
    clock = f"{hands.sandbox}/_sandbox/clock"
    requests.post(clock, json={"advance_seconds": 20}, timeout=5).raise_for_status()
    b.refund_at_stripe(hands, payment, 300)
    hear(hands, "refund.created", "charge.refunded")
    subjects = hands.runtime.payments.read(payment).known["subjects"]
    assert subjects[f"{refund['id']}:settlement"]["rank"] == [refund["created"]]
    assert known_refunds.booked(refund["id"], subjects)["created"] == refund["created"]


def test_a_refund_of_the_dashboard_is_looked_up_once(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (payment,) = b.pay(hands, 1)
    b.refund_at_stripe(hands, payment, 400)
    calls = called(monkeypatch)
    hear(hands, "refund.created", "charge.refunded")
    assert calls == [RETRIEVE]
    assert refund_of(hands)["net"] == -296


def test_a_sum_with_a_refund_that_is_not_known_is_looked_up(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (payment,) = b.pay(hands, 1)
    b.run(hands, b.started(hands, payments=[payment], amount=300))
    b.refund_at_stripe(hands, payment, 200)
    calls = called(monkeypatch)
    hear(hands, "charge.refunded")
    assert calls == [LIST]
    notified = hands.notifications(type="refund.succeeded")
    assert sorted(one["body"]["data"]["amount"] for one in notified) == [200, 300]


def test_a_refund_that_is_pending_is_looked_up(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its events, or a list, say later that it succeeded."""
    (payment,) = b.pay(hands, 1, payment_method="pm_card_pendingRefund")
    calls = called(monkeypatch)
    b.run(hands, b.started(hands, payments=[payment]))
    assert calls == [CREATE]
    hear(hands, "charge.refunded")
    assert LIST in calls


def test_a_look_up_that_fails_delays_no_refund_and_is_made_by_the_event(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (payment,) = b.pay(hands, 1)
    hands.break_stripe(kind="error", method="GET", path_prefix="/v1/refunds", times=1)
    assert b.run(hands, b.started(hands, payments=[payment]))["counts"]["refunded"] == 1
    calls = called(monkeypatch)
    hear(hands, "refund.created")
    assert calls == [RETRIEVE]
    assert refund_of(hands)["net"] == -740


def test_an_event_without_news_reports_nothing_to_the_batch(hands: Hands) -> None:
    """The job has reported the refund; a change of it is reported by its event."""
    (payment,) = b.pay(hands, 1)
    b.run(hands, b.started(hands, payments=[payment]))
    b.hear(hands)
    assert hands.runtime.batches.ended(10) == []
