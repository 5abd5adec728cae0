"""Answers about refunds: what each field is read from, and what without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from api import refund_answers
from api.parts import EXTENSION, Parts
from shared.store.scripts import Store
from shared.work.kinds import REFUNDS
from tests.conftest import make_settings
from tests.unit.answer_forms import (
    BALANCE_CHANGE_ANSWER,
    JOB,
    MOVED,
    REFUND,
    REFUND_ANSWER,
    SUMS,
    as_sent,
    without,
)

Json = dict[str, Any]


@pytest.fixture
def store(fake_store: Store) -> Iterator[Store]:
    """Answer within an application, from its store."""
    app = Flask(__name__)
    app.extensions[EXTENSION] = Parts.build(make_settings(), fake_store)
    with app.app_context():
        yield fake_store


@pytest.mark.parametrize(
    ("refund", "changed"),
    [
        (REFUND, {}),
        (REFUND | {"payment_intent": None}, {"payment_intent_id": None}),
        (REFUND | {"payment_intent": "ch_1"}, {"payment_intent_id": None}),
        (without(REFUND, "charge") | {"charge_id": "ch_2"}, {"charge_id": "ch_2"}),
        (REFUND | {"balance_transaction": MOVED}, BALANCE_CHANGE_ANSWER),
        (REFUND | SUMS, SUMS),
        (REFUND | SUMS | {"status": "failed"}, {"status": "failed"}),
        (REFUND | {"status": None}, {"status": "unknown"}),
        (without(REFUND, "status"), {"status": "succeeded"}),
        (REFUND | {"balance_transaction": MOVED, "status": "canceled"}, {"status": "canceled"}),
        (
            REFUND | {"available_on": 1_772_539_200},
            {"available_on": BALANCE_CHANGE_ANSWER["available_on"]},
        ),
        (
            {name: REFUND[name] for name in ("id", "status", "amount", "currency")},
            dict.fromkeys(
                (
                    *("reason", "payment_intent_id", "charge_id", "failure_reason"),
                    *("failure_message", "pending_reason", "created"),
                )
            )
            | {"metadata": {}},
        ),
    ],
)
def test_a_refund_is_read_from_stripes_form_or_ours(refund: Json, changed: Json) -> None:
    assert as_sent(refund_answers.refund_answer(refund)) == REFUND_ANSWER | changed


def test_a_refund_has_its_job(store: Store) -> None:
    assert as_sent(refund_answers.refund_with_job(REFUND)) == REFUND_ANSWER
    store.redis.set(store.keys.refund_of("re_1"), JOB)
    job: dict[Any, Any] = {"attempts": 3, "account": "acct_1"}
    store.redis.hset(store.keys.item(REFUNDS, JOB), mapping=job)
    of_it = {"refund_request_id": JOB, **job}
    assert as_sent(refund_answers.refund_with_job(REFUND)) == REFUND_ANSWER | of_it


REQUEST = {"payment_intent": "pi_1", "amount": 300, "reason": "duplicate", "metadata": {"a": "b"}}
FIELDS: Json = {
    "id": JOB,
    "state": "queued",
    "request": json.dumps(REQUEST),
    "recorded_at": "5060999",
}
QUEUED = dict.fromkeys(REFUND_ANSWER) | {
    "refund_request_id": JOB,
    "status": "queued",
    "amount": 300,
    "reason": "duplicate",
    "payment_intent_id": "pi_1",
    "attempts": 0,
    "created": 5060,
    "metadata": {"a": "b"},
}


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {}),
        ({"state": "retrying", "attempts": "2"}, {"attempts": 2}),
        ({"state": "processing"}, {"status": "processing"}),
        ({"state": "dead"}, {"status": "processing"}),
        ({"account": "acct_1", "currency": "sgd"}, {"account": "acct_1", "currency": "sgd"}),
        (
            {"pending_reason": "insufficient_funds"},
            {"status": "pending", "pending_reason": "insufficient_funds"},
        ),
        ({"pending_reason": ""}, {}),
        (
            {"failure_code": "charge_disputed", "failure_message": "Disputed."},
            {
                "status": "failed",
                "failure_reason": "charge_disputed",
                "failure_message": "Disputed.",
            },
        ),
        (
            {"failure_code": "x", "pending_reason": "y"},
            {"status": "pending", "failure_reason": "x", "pending_reason": "y"},
        ),
        (
            {"request": json.dumps({"charge": "ch_1"}), "amount": "42"},
            {
                "amount": 42,
                "reason": None,
                "payment_intent_id": None,
                "charge_id": "ch_1",
                "metadata": {},
            },
        ),
        ({"request": json.dumps(REQUEST | {"amount": None})}, {"amount": None}),
        ({"recorded_at": None}, {"created": None}),
    ],
)
def test_a_job_without_a_refund_shows_its_request(fields: Json, changed: Json) -> None:
    job_fields = {name: value for name, value in (FIELDS | fields).items() if value is not None}
    assert as_sent(refund_answers.refund_of_job(job_fields)) == QUEUED | changed


def test_a_job_with_a_refund_shows_it() -> None:
    fields = FIELDS | {"result": json.dumps(REFUND), "attempts": "4", "account": "acct_1"}
    of_it = {"refund_request_id": JOB, "attempts": 4, "account": "acct_1"}
    assert as_sent(refund_answers.refund_of_job(fields)) == REFUND_ANSWER | of_it
