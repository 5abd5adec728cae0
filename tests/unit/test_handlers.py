"""Handlers alone: cases that a webhook cannot produce."""

from __future__ import annotations

import itertools
import json
from typing import Any, cast

import pytest

import worker.handlers  # noqa: F401 - fills the registry
from shared.canonical_json import compact
from shared.errors import BillingError, CallerError, Inconsistent, NotYet
from shared.facts import Fact, advance
from shared.payment_summary import notification_body
from shared.stripe.event import Event, parse_event, payment_of, reference
from shared.stripe.gateway import StripeGateway
from tests.fixtures.record import FOLDER
from worker.registry import HANDLERS, handled_types, handles

Json = dict[str, Any]


class Stripe:
    """The calls to Stripe that handlers make."""

    def __init__(self, refunds: list[Json] | BillingError) -> None:
        self.refunds = refunds

    def balance_transaction(self, booked: str, account: str | None = None) -> Json:
        return {"fee": 84, "net": 916, "currency": "sgd", "available_on": 1_772_539_200}

    def refunds_of(self, account: str | None = None, **owner: str) -> list[Json]:
        if isinstance(self.refunds, BillingError):
            raise self.refunds
        return self.refunds


def event(event_type: str, **changes: Any) -> Event:
    raw = json.loads((FOLDER / f"{event_type}.json").read_text())
    raw["data"]["object"] |= changes
    return parse_event(raw)


def facts(of: Event, refunds: list[Json] | BillingError | None = None) -> list[Fact]:
    handler = HANDLERS.get(of.type)
    assert handler
    return handler(of, cast(StripeGateway, Stripe(refunds or [])))


def refund() -> Json:
    return dict(event("refund.created").object)


def test_a_type_has_one_handler() -> None:
    with pytest.raises(Inconsistent, match="already"):
        handles("charge.succeeded")(lambda *_: [])
    assert HANDLERS.get("invoice.paid") is None


@pytest.mark.parametrize("event_type", handled_types())
def test_every_fact_of_an_event_belongs_to_its_payment(event_type: str) -> None:
    facts_read = facts(event(event_type), [refund()])
    assert facts_read
    assert {fact.stripe_event_id for fact in facts_read} == {event(event_type).id}
    assert all(fact.key for fact in facts_read if fact.type)


def test_refunds_are_told_oldest_first_with_their_intent() -> None:
    charge = event("charge.refunded")
    newest = refund() | {"id": "re_new", "payment_intent": None}
    _, first, second = facts(charge, [newest, refund()])
    assert (first.subject, second.subject) == (refund()["id"], "re_new")
    assert second.data["payment_intent_id"] == charge.object["payment_intent"]


def test_refunds_in_the_event_itself_serve_where_stripe_knows_none() -> None:
    missing = CallerError("No such charge.", status=404)
    embedded = event("charge.refunded", refunds={"data": [refund()]})
    assert [fact.subject for fact in facts(embedded, missing)][1:] == [refund()["id"]]


def test_another_refusal_of_a_look_up_is_not_taken_for_absence() -> None:
    with pytest.raises(CallerError):
        facts(event("charge.refunded"), CallerError("Bad request.", status=400))


@pytest.mark.parametrize("refunds", [[], [{"id": "re_x", "amount": 1}]])
def test_a_refund_that_is_not_listed_is_awaited(refunds: list[Json]) -> None:
    with pytest.raises(NotYet):
        facts(event("charge.refunded"), refunds)


def test_attempts_with_one_method_are_told_apart_by_their_second() -> None:
    first = event("payment_intent.requires_action")
    raw = json.loads((FOLDER / "payment_intent.requires_action.json").read_text())
    again = parse_event(raw | {"id": "evt_2", "created": raw["created"] + 30})
    assert facts(first)[0].notification_id != facts(again)[0].notification_id


def test_a_failure_is_known_by_its_charge() -> None:
    (fact,) = facts(event("payment_intent.payment_failed"))
    assert fact.key.endswith(fact.data["charge_id"])


def test_an_authorisation_is_told_for_each_amount() -> None:
    keys = {
        facts(event("payment_intent.amount_capturable_updated", amount_capturable=n))[0].key
        for n in (500, 800)
    }
    assert len(keys) == 2


def test_two_states_of_a_charge_in_one_second_end_with_more_refunded() -> None:
    less, more = (
        facts(event("charge.updated", amount_refunded=amount))[0] for amount in (500, 1000)
    )
    assert less.rank == more.rank
    assert less.tie < more.tie


@pytest.mark.parametrize("status", [None, "", "teleported"])
def test_a_refund_of_an_unknown_status_undoes_nothing(status: Any) -> None:
    odd, *_ = facts(event("refund.updated", status=status))
    usual, *_ = facts(event("refund.updated"))
    assert odd.type is None
    assert odd.rank < usual.rank
    assert odd.status == (status or "unknown")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"object":"event"}',
        b'{"object":"event","id":"","type":"a"}',
        "[" * 10**5,
    ],
)
def test_what_is_no_event_is_refused(body: Any) -> None:
    with pytest.raises(CallerError, match="not a Stripe event"):
        parse_event(body)


def test_an_event_of_an_old_version_names_no_key() -> None:
    raw = json.loads((FOLDER / "charge.succeeded.json").read_text())
    assert parse_event(raw | {"request": "req_1"}).request_key is None
    request = {"id": "req_1", "idempotency_key": "k"}
    assert parse_event(raw | {"request": request}).request_key == "k"


@pytest.mark.parametrize(
    ("context", "account"), [(None, None), ("acct_1", "acct_1"), ("org_1/acct_1", "acct_1")]
)
def test_a_thin_event_names_its_account(context: Any, account: str | None) -> None:
    thin = {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.refund.created",
        "created": "2026-03-01T12:00:00.000Z",
        "livemode": False,
        "context": context,
        "related_object": {"id": "re_1", "type": "refund", "url": "/v1/refunds/re_1"},
        "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": "k"}},
    }
    read = parse_event(thin)
    assert (read.account, read.type, read.request_key) == (account, "refund.created", "k")
    assert (read.object, read.fetched, read.created) == ({}, True, 1_772_366_400)


@pytest.mark.parametrize(
    ("obj", "payment"),
    [
        ({"object": "payment_intent", "id": "pi_1"}, "pi_1"),
        ({"object": "charge", "id": "ch_1", "payment_intent": {"id": "pi_1"}}, "pi_1"),
        ({"object": "charge", "id": "ch_1", "payment_intent": None}, "ch_1"),
        ({"object": "refund", "id": "re_1", "charge": "ch_1", "payment_intent": None}, "ch_1"),
        ({"object": "dispute", "id": "du_1", "charge": {"id": "ch_1"}}, "ch_1"),
        ({"object": "checkout.session", "id": "cs_1", "payment_intent": None}, "cs_1"),
        ({"object": "customer", "id": "cus_1"}, None),
    ],
)
def test_an_object_names_its_payment(obj: Json, payment: str | None) -> None:
    assert payment_of(obj) == payment


def test_a_reference_is_an_id_or_an_object_with_one() -> None:
    assert [reference(v) for v in ("x", {"id": "x"}, None, "", {}, 5)] == ["x", "x", *[None] * 4]


ODD: tuple[Any, ...] = (None, "", "x", [], ["x"], {}, {"a": 1}, -1, 10**30, 1.5, True)


@pytest.mark.parametrize("event_type", handled_types())
def test_no_odd_value_is_taken_at_the_door_and_then_fatal(event_type: str) -> None:
    raw = json.loads((FOLDER / f"{event_type}.json").read_text())
    refunds = [refund()]
    count = 0
    for name, odd in itertools.product(raw["data"]["object"], ODD):
        changed = raw | {"data": raw["data"] | {"object": raw["data"]["object"] | {name: odd}}}
        try:
            read = parse_event(json.dumps(changed))
        except CallerError:
            continue
        if read.payment_id is None or reference(read.object) is None:
            continue
        try:
            facts_read = facts(read, refunds)
        except NotYet:
            continue
        step = advance({}, facts_read)
        for fact in step.news:
            compact(notification_body(fact, step.known, read.payment_id))
        count += 1
    assert count > 0


def test_metadata_that_are_null_are_not_there() -> None:
    odd = event("payment_intent.succeeded", metadata={"event_id": "E1", "seat": None})
    (fact, *_) = facts(odd)
    assert fact.data["metadata"] == {"event_id": "E1"}
