"""Of a payment that another refund was faster at, a batch refunds what Stripe says is left."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import CallerError, Unavailable
from shared.keys import Keys
from shared.settings import Settings
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work.items import Claim
from shared.work.kinds import REFUNDS
from shared.work.results import Done
from shared.work.settlement import Settlement
from tests.integration import batching as b
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.test_batch_beginning import member_of, new_batch
from tests.integration.test_refund_batches import counts
from worker.runtime import Runtime


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


def test_an_amount_that_stripe_refuses_although_it_is_left_is_sent_once(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (payment,) = b.pay(hands, 1)
    amounts: list[int] = []

    def refuse(*_: object, params: dict[str, Any], **__: object) -> None:
        amounts.append(params["amount"])
        param = "amount" if len(amounts) < 4 else ""  # so that a worker that repeats it ends, too
        raise CallerError("No.", code="amount_too_large", param=param)

    monkeypatch.setattr(StripeGateway, "create_refund", refuse)
    batch = b.started(hands, payments=[payment])
    assert counts(b.run(hands, batch)) == {"failed": 1}
    assert amounts == [1000]


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


def test_the_rest_of_a_connected_accounts_payment_that_is_not_known_here_is_refunded(
    hands: Hands,
) -> None:
    """Stripe alone shows it: its events have not come, or Redis lost them."""
    account = {"Stripe-Account": "acct_1Theirs"}
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    answer = hands.client.post("/api/payment/process", json=body, headers=account)
    payment = answer.get_json()["payment_intent_id"]
    refund = {"payment_intent_id": payment, "amount": 600}
    hands.client.post("/api/refund/process", json=refund, headers=account)
    hands.work()
    hands.runtime.store.redis.delete(hands.runtime.store.keys.payment(payment))
    batch = new_batch(hands, member_of(payment, 700), account="acct_1Theirs")
    b.run(hands, batch)
    (member,) = b.members(hands, batch)
    assert (member["status"], member["amount"]) == ("refunded", 400)


def test_two_installations_on_one_redis_carry_out_their_own_batches(
    hands: Hands, settings: Settings, real_store: Store
) -> None:
    """Also under the same idempotency key, and though upkeep of one runs before the other's."""
    others_settings = settings.model_copy(update={"installation": "other"})
    others_store = Store(real_store.redis, Keys("other"))
    runtime = Runtime(others_settings, others_store)
    door = open_door(others_settings, others_store)
    other = Hands(door, runtime, hands.sandbox, hands.receiver)
    payments = {one: b.pay(one, 2) for one in (hands, other)}
    batches = [
        b.start(one, key="k", payments=payments[one]).get_json()["batch_id"] for one in payments
    ]
    assert counts(b.run(other, batches[1])) == {"refunded": 2}
    assert counts(b.look(hands, batches[0])) == {"not_begun": 2}
    assert counts(b.run(hands, batches[0])) == {"refunded": 2}
    assert [b.refunded(hands, one) for both in payments.values() for one in both] == [[1000]] * 4
    runtime.event_service.close()
