"""The audit of a chaos run: each promise is broken in turn, and the audit must report it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from chaos.audit import Evidence, audit
from chaos.customers import Request
from chaos.unprotected import EDITS
from shared.store.sources import script_source

Json = dict[str, Any]


def notification(type_: str, sequence: int, **data: Any) -> Json:
    ids = {"payment_intent_id": "pi_1", "refund_id": None, "dispute_id": None}
    body = {
        "id": f"ntf_{sequence}",
        "type": type_,
        "sequence": sequence,
        "data": ids | {"status": "x", "metadata": {}} | data,
    }
    return {"id": body["id"], "body": body, "answered": 204, "verified": True}


def honest() -> Evidence:
    """Return the evidence of a run without violations: a payment, a refund, a refused refund."""
    events = [("evt_1", "payment_intent.succeeded", "pi_1"), ("evt_2", "refund.created", "re_1")]
    return Evidence(
        books={
            "payment_intents": [{"id": "pi_1", "metadata": {"order": "o"}}],
            "payments": [{"payment_intent": "pi_1", "taken": 100, "metadata": {"order": "o"}}],
            "refunds": [{"id": "re_1", "status": "succeeded", "metadata": {"return": "b"}}],
            "disputes": [],
            "events": [{"id": i, "type": t, "object": o} for i, t, o in events],
            "deliveries": [{"event": i, "attempts": [{"status": 200}]} for i, _, _ in events],
            "idempotency": {"replays": 0},
        },
        notifications=[
            notification("payment.succeeded", 1),
            notification("refund.succeeded", 2, refund_id="re_1"),
            notification("refund.failed", 3, metadata={"return": "c"}),
        ],
        payments=[Request("o", "", {"amount": 100}, [(200, {"payment_intent_id": "pi_1"})])],
        refunds=[
            Request("b", "", {"amount": 100}, [(202, {"refund_request_id": "rr_b"})]),
            Request("c", "", {"amount": 900}, [(202, {"refund_request_id": "rr_c"})]),
        ],
        events={"evt_1": {"state": "processed"}, "evt_2": {"state": "processed"}},
        refund_jobs={"rr_b": {"status": "succeeded"}, "rr_c": {"status": "failed"}},
        died=[],
        stopped_badly=[],
    )


BREACHES: dict[str, Callable[[Evidence], object]] = {
    "lost": lambda e: e.notifications.pop(),
    "double_charges": lambda e: e.books["payment_intents"].append(
        {"id": "pi_2", "metadata": {"order": "o"}}
    ),
    "double_refunds": lambda e: e.books["refunds"].append(e.books["refunds"][0]),
    "unanswered_requests": lambda e: e.payments.append(Request("never", "", {"amount": 1})),
    "answers_that_contradict": lambda e: e.payments[0].answers.append(
        (200, {"payment_intent_id": "pi_2"})
    ),
    "dishonest_answers": lambda e: e.payments[0].refused.update({"500": 1}),
    "two_ids_for_one_fact": lambda e: e.notifications.append(notification("payment.succeeded", 4)),
    "one_id_with_two_bodies": lambda e: e.notifications.append(
        notification("payment.failed", 1) | {"answered": 500}
    ),
    "order_violations": lambda e: e.notifications.reverse(),
    "sequence_gaps": lambda e: e.notifications.append(notification("payment.failed", 5)),
    "bad_signatures": lambda e: e.notifications[0].update(verified=False),
    "webhook_200_not_processed": lambda e: e.events["evt_1"].update(state="dead"),
    "events_not_processed": lambda e: e.events.pop("evt_2"),
    "accepted_202_without_effect": lambda e: e.refund_jobs["rr_c"].update(status="queued"),
    "processes_that_stopped_badly": lambda e: e.stopped_badly.append("worker-1 (1)"),
    "processes_that_ended_by_themselves": lambda e: e.died.append("worker-1 (1)"),
}


def test_an_honest_run_breaks_no_promise() -> None:
    assert audit(honest()).clean


@pytest.mark.parametrize("promise", BREACHES)
def test_a_broken_promise_is_named(promise: str) -> None:
    evidence = copy.deepcopy(honest())
    BREACHES[promise](evidence)
    assert audit(evidence).violations[promise]


def test_every_promise_has_a_breach_here() -> None:
    assert set(audit(honest()).violations) == set(BREACHES)


def test_a_webhook_answered_with_another_error_is_dishonest() -> None:
    evidence = honest()
    evidence.books["deliveries"][0]["attempts"][0]["status"] = 400
    assert audit(evidence).violations["dishonest_answers"] == ["evt_1: 400"]


@pytest.mark.parametrize(("name", "text"), [edit[:2] for edits in EDITS.values() for edit in edits])
def test_each_protection_that_can_be_taken_away_is_still_in_its_script(
    name: str, text: str
) -> None:
    assert text in script_source(name)
