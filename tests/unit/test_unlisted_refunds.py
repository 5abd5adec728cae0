"""Refunds that may not be listed: in any order of events each amount is notified once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from shared.facts import Advance, Fact, advance
from shared.known_refunds import UNLISTED
from shared.payment_summary import amount_refunded

Json = dict[str, Any]


@dataclass(frozen=True)
class Refund:
    """A refund, the second in which it was made, and that in which it failed, if it did."""

    id: str
    amount: int
    made_at: int
    failed_at: int | None = None


@dataclass(frozen=True)
class Life:
    """The refunds of a charge, and those that one `charge.refunded` reports together."""

    refunds: list[Refund]
    sums: list[Fact]

    @property
    def own(self) -> list[Fact]:
        return [fact for refund in self.refunds for fact in own_facts(refund)]

    def total(self, *, failed_too: bool) -> int:
        counts = (r for r in self.refunds if failed_too or r.failed_at is None)
        return sum(refund.amount for refund in counts)


def own_facts(refund: Refund) -> list[Fact]:
    success = own(refund, "succeeded", (1, refund.made_at))
    failed = refund.failed_at
    return [success] if failed is None else [success, own(refund, "failed", (2, failed))]


def own(refund: Refund, status: str, rank: tuple[int, int]) -> Fact:
    return Fact(
        subject=refund.id,
        family="refund",
        status=status,
        rank=rank,
        happened_at=rank[1],
        snapshot={"amount": refund.amount, "created": refund.made_at},
        type=f"refund.{status}",
        key=f"{refund.id}:{status}",
        data={"amount": refund.amount},
    )


def sum_fact(total: int, added: int, at: int, number: int) -> Fact:
    return Fact(
        subject=f"ch_1:refunded:{number}",
        family=UNLISTED,
        status="succeeded",
        rank=(at,),
        happened_at=at,
        snapshot={"amount_refunded": total, "added": added},
        type="refund.succeeded",
        key=f"ch_1:refunded:{number}",
        data={"amount": added},
    )


@st.composite
def lives(draw: st.DrawFn, *, may_fail: bool = False, together: bool = False) -> Life:
    """Draw refunds some time apart, or two at once; `together`: several may be told by one event.

    An event has the second of its refund, or the next one.
    """
    refunds, sums = [], []
    now, said_at, added, counts = 100, 0, 0, 0
    for number in range(draw(st.integers(1, 4))):
        at_once = not together and number == 1 and draw(st.booleans())
        now += 0 if at_once else draw(st.integers(10, 12))
        amount = draw(st.integers(1, 4))
        refunds.append(Refund(f"re_{number}", amount, now))
        added += amount
        counts += amount
        if together and number < 3 and draw(st.booleans()):
            continue
        said_at = max(said_at, now + (1 if together else draw(st.integers(0, 1))))
        sums.append(sum_fact(counts, added, said_at, number))
        added = 0
    if added:
        sums.append(sum_fact(counts, added, now + 1, 9))
    if may_fail:
        failing = draw(st.sets(st.integers(0, len(refunds) - 1)))
        later = {n: now + 2 + draw(st.integers(0, 2)) for n in failing}
        refunds = [Refund(r.id, r.amount, r.made_at, later.get(n)) for n, r in enumerate(refunds)]
    return Life(refunds, sums)


def fold(facts: list[Fact]) -> tuple[list[Fact], Json]:
    """Fold facts one by one; return the notifications, each id once, and the final state."""
    return fold_from({}, facts)


def fold_from(state: Json, facts: list[Fact]) -> tuple[list[Fact], Json]:
    """Fold facts one by one into a state."""
    notified: dict[str, Fact] = {}
    for fact in facts:
        step: Advance = advance(state, [fact])
        state = step.known
        for news in step.news:
            if news.type:
                notified.setdefault(news.notification_id, news)
    return list(notified.values()), state


def money(notified: list[Fact], type_: str = "refund.succeeded") -> int:
    return sum(fact.data["amount"] for fact in notified if fact.type == type_)


@given(st.data(), lives())
def test_each_money_is_told_once_in_every_order(data: st.DataObject, life: Life) -> None:
    notified, state = fold(data.draw(st.permutations(life.own + life.sums)))
    assert money(notified) == life.total(failed_too=True)
    assert amount_refunded(state) == life.total(failed_too=True)


@given(st.data(), lives(), st.booleans())
def test_either_kind_of_event_suffices(data: st.DataObject, life: Life, sums: bool) -> None:
    notified, state = fold(data.draw(st.permutations(life.sums if sums else life.own)))
    assert money(notified) == life.total(failed_too=True)
    assert amount_refunded(state) == life.total(failed_too=True)


@given(st.data(), lives())
def test_each_money_is_told_once_where_some_refunds_are_never_heard_of(
    data: st.DataObject, life: Life
) -> None:
    assume(len({refund.made_at for refund in life.refunds}) == len(life.refunds))
    own = data.draw(st.lists(st.sampled_from(life.own), unique_by=lambda fact: fact.subject))
    notified, state = fold(data.draw(st.permutations(own + life.sums)))
    assert money(notified) == life.total(failed_too=True)
    assert amount_refunded(state) == life.total(failed_too=True)


@given(st.data(), lives(may_fail=True))
def test_money_that_came_home_again_is_told_and_not_counted(
    data: st.DataObject, life: Life
) -> None:
    notified, state = fold(data.draw(st.permutations(life.own + life.sums)))
    assert amount_refunded(state) == life.total(failed_too=False)
    failed = life.total(failed_too=True) - life.total(failed_too=False)
    assert money(notified, "refund.failed") == failed
    assert money(notified) <= life.total(failed_too=True)


@given(st.data(), lives(may_fail=True))
def test_hearing_it_all_again_tells_nothing_new(data: st.DataObject, life: Life) -> None:
    facts = data.draw(st.permutations(life.own + life.sums))
    once, state = fold(facts)
    twice, again = fold(facts + facts)
    assert [fact.notification_id for fact in twice] == [fact.notification_id for fact in once]
    assert again == state


@given(st.data(), lives(together=True))
def test_a_sum_of_several_known_refunds_is_not_told(data: st.DataObject, life: Life) -> None:
    notified, state = fold([*life.own, *data.draw(st.permutations(life.sums))])
    assert all(fact.family == "refund" for fact in notified)
    assert money(notified) == life.total(failed_too=True)
    assert amount_refunded(state) == life.total(failed_too=True)


@given(st.data(), lives(together=True))
def test_refunds_that_one_sum_told_together_are_not_told_again(
    data: st.DataObject, life: Life
) -> None:
    sums = sorted(life.sums, key=lambda fact: fact.happened_at)
    notified, state = fold([*sums, *data.draw(st.permutations(life.own))])
    assert all(fact.family == UNLISTED for fact in notified)
    assert money(notified) == life.total(failed_too=True)
    assert amount_refunded(state) == life.total(failed_too=True)


def test_refunds_of_one_second_that_one_sum_told_are_not_told_again() -> None:
    refunds = [Refund(f"re_{n}", amount, 100) for n, amount in enumerate((300, 700, 200))]
    for order in permutations([own(one, "succeeded", (1, 100)) for one in refunds]):
        notified, state = fold([sum_fact(1200, 1200, 101, 1), *order])
        assert [fact.family for fact in notified] == [UNLISTED]
        assert amount_refunded(state) == 1200


def test_of_two_refunds_of_one_second_the_wrong_one_is_taken_for_the_first_sum() -> None:
    """The second sum comes late; a third one in between must not be used up in its place."""
    first, second = Refund("re_0", 3, 112), Refund("re_1", 1, 112)
    third = Refund("re_2", 3, 123)
    sums = [sum_fact(3, 3, 112, 0), sum_fact(4, 1, 112, 1), sum_fact(7, 3, 124, 2)]
    own_events = [fact for one in (second, first, third) for fact in own_facts(one)]
    for late in (sums[1], sums[2]):
        rest = [one for one in sums[1:] if one is not late]
        for split in range(4):
            events = [sums[0], *own_events[:split], *rest, late, *own_events[split:]]
            notified, state = fold(events)
            assert (money(notified), amount_refunded(state)) == (7, 7), events


def test_a_refund_that_was_told_as_a_sum_keeps_quiet_until_it_fails() -> None:
    refund = Refund("re_1", 300, 100, failed_at=200)
    succeeded, failed = own_facts(refund)
    notified, _ = fold([sum_fact(300, 300, 100, 1), succeeded, failed])
    assert [(fact.type, fact.subject) for fact in notified] == [
        ("refund.succeeded", "ch_1:refunded:1"),
        ("refund.failed", "re_1"),
    ]


def test_a_sum_tells_only_the_part_that_no_refund_told() -> None:
    earlier = Refund("re_1", 300, 100)
    notified, state = fold([*own_facts(earlier), sum_fact(700, 700, 120, 1)])
    assert [fact.data["amount"] for fact in notified] == [300, 400]
    assert amount_refunded(state) == 700


def test_a_sum_that_comes_again_with_other_words_keeps_what_it_told() -> None:
    one, other = (
        replace(sum_fact(300, 300, 100, 1), data={"amount": 300, "event_id": event_id})
        for event_id in ("e1", "e2")
    )
    after = advance(advance({}, [one]).known, [other]).known
    assert after["subjects"][one.subject]["said"] == {"event_id": "e2"}
    _, state = fold_from(after, own_facts(Refund("re_1", 300, 100)))
    assert state["subjects"]["re_1"]["foretold"]
    assert amount_refunded(state) == 300


def test_a_sum_that_was_stored_without_its_part_told_nothing() -> None:
    state = advance({}, [sum_fact(300, 300, 100, 1)]).known
    for name in ("told", "ahead"):
        del state["subjects"]["ch_1:refunded:1"][name]
    (again,) = advance(state, [sum_fact(300, 300, 100, 1)]).news
    assert (again.type, again.data["amount"]) == (None, 0)
    assert again.beside == {"told": 0, "ahead": 0}


def test_a_refund_before_our_time_is_not_told_with_the_next_one() -> None:
    notified, state = fold([sum_fact(1500, 500, 100, 1)])
    assert money(notified) == 500
    assert amount_refunded(state) == 1500
