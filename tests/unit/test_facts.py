"""The fold of facts: a join in any order, which decides the facts to notify."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.facts import Fact, advance, of_account
from shared.notification import Notification, NotificationData
from shared.payment_summary import amount_refunded, context, disputed, notification_body, timestamp

Json = dict[str, Any]
FAMILIES = ("payment", "refund", "dispute", "charge", "checkout")


def fact(subject: str = "re_1", **changes: Any) -> Fact:
    defaults: Json = {
        "family": "refund",
        "status": "succeeded",
        "rank": (1, 100),
        "happened_at": 100,
        "snapshot": {"amount": 300},
        "type": "refund.succeeded",
        "key": f"{subject}:succeeded",
    }
    return Fact(subject=subject, **(defaults | changes))


facts = st.builds(
    fact,
    st.sampled_from(("a", "b", "c")),
    family=st.sampled_from(FAMILIES),
    status=st.sampled_from(("pending", "succeeded", "failed")),
    rank=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    tie=st.tuples(st.integers(0, 1)),
    snapshot=st.fixed_dictionaries({"amount": st.integers(0, 3)}),
    data=st.fixed_dictionaries({"event_id": st.sampled_from((None, "e1", "e2"))}),
)


@given(st.lists(facts, max_size=8).flatmap(lambda f: st.tuples(st.just(f), st.permutations(f))))
def test_any_order_ends_in_the_same_state(orders: tuple[list[Fact], list[Fact]]) -> None:
    first, second = (folded(order) for order in orders)
    assert first == second
    assert context(first) == context(second)
    assert amount_refunded(first) == amount_refunded(second)


@given(st.lists(facts, max_size=8))
def test_hearing_everything_again_changes_nothing(facts_sent: list[Fact]) -> None:
    state = folded(facts_sent)
    assert folded(facts_sent, state) == state


@given(st.lists(facts, min_size=1, max_size=8))
def test_of_each_subject_the_highest_rank_is_told_in_every_order(facts_sent: list[Fact]) -> None:
    state: Json = {}
    news: list[Fact] = []
    for one in facts_sent:
        step = advance(state, [one])
        state, news = step.known, news + step.news
        assert len(step.news) + len(step.late) == 1
    for subject in {one.subject for one in facts_sent}:
        of_it = [one for one in facts_sent if one.subject == subject]
        highest = max(one.rank for one in of_it)
        assert all(one in news for one in of_it if one.rank == highest)


def folded(facts_sent: list[Fact], state: Json | None = None) -> Json:
    state = state or {}
    for one in facts_sent:
        state = advance(state, [one]).known
    return state


def test_what_is_older_is_late_and_undoes_nothing() -> None:
    state = folded([fact(status="failed", rank=(2, 50))])
    step = advance(state, [fact(rank=(1, 99))])
    assert (step.news, len(step.late)) == ([], 1)
    assert step.known == state


def test_what_is_of_one_rank_is_told_and_the_tie_picks_the_state() -> None:
    further = fact(status="failed", rank=(0, 9), tie=(4,))
    step = advance(folded([further]), [fact(status="pending", rank=(0, 9), tie=(1,))])
    assert len(step.news) == 1
    assert step.known["subjects"]["re_1"]["status"] == "failed"


def test_a_fact_of_a_connected_account_names_it() -> None:
    one = fact(data={"amount": 300})
    assert of_account(one, None) == one
    assert of_account(one, "acct_1") == fact(data={"amount": 300, "account": "acct_1"})


def test_advance_leaves_what_it_was_given_alone() -> None:
    state = folded([fact()])
    before = dict(state["subjects"])
    advance(state, [fact("re_2")])
    assert state["subjects"] == before


def test_a_notifications_id_depends_on_type_and_key_alone_and_never_changes() -> None:
    one, other = fact(), fact(happened_at=7, stripe_event_id="evt_2", status="x")
    assert one.notification_id == other.notification_id == "ntf_ivaonftkjtjhzsrcrlkvt3dpfy"
    assert fact(type="refund.failed").notification_id != one.notification_id
    assert fact(key="re_2:succeeded").notification_id != one.notification_id


@pytest.mark.parametrize(
    ("status", "refunded"),
    [("pending", 300), ("requires_action", 300), ("succeeded", 300), ("failed", 0)],
)
def test_only_what_is_given_back_counts_as_refunded(status: str, refunded: int) -> None:
    assert amount_refunded(folded([fact(status=status)])) == refunded
    assert amount_refunded(folded([fact(status=status, family="charge")])) == 0


def test_a_payment_was_disputed_if_a_dispute_was_ever_opened() -> None:
    assert not disputed(folded([fact()]))
    assert disputed(folded([fact("du_1", family="dispute", status="won")]))


def test_the_word_of_the_closest_to_the_payment_counts() -> None:
    def says(subject: str, family: str, event_id: str) -> Fact:
        return fact(subject, family=family, data={"event_id": event_id})

    refund, session = says("re_1", "refund", "r"), says("cs_1", "checkout", "c")
    assert context(folded([refund])) == {"event_id": "r"}
    assert context(folded([refund, session])) == {"event_id": "c"}
    looked_up = {"context": {"event_id": "l", "user_id": "u"}}
    assert context(folded([session, refund], looked_up)) == {"event_id": "l", "user_id": "u"}
    intent = says("pi_1", "payment", "p")
    assert context(folded([session, intent], looked_up)) == {"event_id": "p", "user_id": "u"}


def test_a_notification_has_every_field_and_the_payments_own_context() -> None:
    one = fact(data={"refund_id": "re_1", "amount": 300}, stripe_event_id="evt_1", livemode=True)
    body = notification_body(one, folded([one], {"context": {"user_id": "u"}}), "pi_1")
    assert {name: value for name, value in body["data"].items() if value not in (None, {})} == {
        "payment_intent_id": "pi_1",
        "refund_id": "re_1",
        "amount": 300,
        "status": "succeeded",
        "amount_refunded": 300,
        "user_id": "u",
        "stripe_event_id": "evt_1",
    }
    assert (body["livemode"], body["timestamp"]) == (True, "1970-01-01T00:01:40Z")
    assert list(body["data"]) == list(NotificationData.model_fields)
    Notification.model_validate(body | {"sequence": 1})


def test_a_payment_without_an_intent_names_none() -> None:
    body = notification_body(fact(), folded([fact()]), "ch_1")
    assert body["data"]["payment_intent_id"] is None


def test_times_are_utc_in_whole_seconds() -> None:
    assert timestamp(1_772_366_400.9) == "2026-03-01T12:00:00Z"
