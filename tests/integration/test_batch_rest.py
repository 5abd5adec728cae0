"""Of a payment that another refund was faster at, a batch refunds what Stripe says is left."""

from __future__ import annotations

import pytest

from shared.errors import Unavailable
from shared.work.items import Claim
from shared.work.kinds import REFUNDS
from shared.work.results import Done
from shared.work.settlement import Settlement
from tests.integration import batching as b
from tests.integration.hands import Hands
from tests.integration.test_refund_batches import counts


@pytest.mark.parametrize(
    ("elsewhere", "end"),
    [(400, ("refunded", 500, None)), (950, ("left_out", 0, "under_minimum"))],
)
def test_the_fee_is_kept_of_what_was_left_when_stripe_refused_the_whole(
    hands: Hands, elsewhere: int, end: tuple[str, int, str | None]
) -> None:
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment], keep_fee=100)
    b.refund_at_stripe(hands, payment, elsewhere)  # only Stripe knows
    b.run(hands, batch)
    (member,) = b.members(hands, batch)
    assert (member["status"], member["amount"], member["reason"]) == end
    assert sum(b.refunded(hands, payment)) == elsewhere + end[1]


@pytest.mark.parametrize("died", ["before the smaller amount is stored", "after it is refunded"])
def test_a_worker_that_dies_while_a_refund_is_lowered_refunds_the_rest_once(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, died: str
) -> None:
    """The next worker repeats the call of the one that died, under the same key."""
    (payment,) = b.pay(hands, 1)
    batch = b.started(hands, payments=[payment])
    b.refund_at_stripe(hands, payment, 400)  # only Stripe knows
    fatal = "lowered" if died.startswith("before") else "refunded"
    finish, deaths = Settlement.finish, list[str]()

    def die(self: Settlement, claim: Claim, result: Done) -> bool:
        if claim.kind is REFUNDS and (result.outcome or result.state) == fatal and not deaths:
            deaths.append(claim.id)
            raise Unavailable("The worker dies.")
        return finish(self, claim, result)

    monkeypatch.setattr(Settlement, "finish", die)
    state = b.run(hands, batch)
    assert deaths
    assert (counts(state), state["amounts"]) == ({"refunded": 1}, {"sgd": {"refunded": 600}})
    assert sorted(b.refunded(hands, payment)) == [400, 600]


def test_two_batches_of_one_payment_at_once_refund_together_what_was_received(
    hands: Hands,
) -> None:
    """Both begin before Stripe's answer to either: the second is refused, and refunds the rest."""
    payments = b.pay(hands, 2)
    batches = [b.started(hands, payments=payments, percent=70) for _ in range(2)]
    b.refund_batches.run_once(hands.runtime)
    first, second = (b.run(hands, batch) for batch in batches)
    assert [counts(first), counts(second)] == [{"refunded": 2}] * 2
    assert sum(one["amounts"]["sgd"]["refunded"] for one in (first, second)) == 2000
    assert [sorted(b.refunded(hands, one)) for one in payments] == [[300, 700]] * 2
