"""The index of payments: it always corresponds to the states of the payments."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import CallerError
from shared.settings import Settings
from shared.store.scripts import Call
from shared.work import payment_index_repair
from shared.work.payment_index import PaymentFilter, PaymentIndex
from shared.work.payment_index_repair import IndexRepair
from tests.integration.hands import Hands
from worker import payment_index
from worker.runtime import Runtime

Json = dict[str, Any]


@pytest.fixture
def index(hands: Hands, settings: Settings) -> PaymentIndex:
    """Return the index of the test's store."""
    runtime = hands.runtime
    return PaymentIndex(runtime.store, runtime.payments, settings.indexed_metadata)


def pay(hands: Hands, **fields: Any) -> str:
    """Take a payment and process all that follows."""
    payment: str = hands.pay(**fields).get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    return payment


def ids_in_index(index: PaymentIndex, **criteria: Any) -> list[str]:
    """List the ids of the wanted payments, newest first."""
    return [one.record.id for one in index.walk(PaymentFilter(**criteria))]


def test_a_payment_is_found_by_all_it_says_of_itself(hands: Hands, index: PaymentIndex) -> None:
    metadata = {"event_id": "concert-7", "user_id": "u-1", "order_id": "A 1", "seat": "12"}
    ours = pay(hands, amount=4200, customer_email="Kim@Example.com", metadata=metadata)
    pay(hands, metadata={"event_id": "concert-70", "user_id": "u-10"})
    for key in ("event_id", "user_id", "order_id"):
        assert ids_in_index(index, metadata={key: metadata[key]}) == [ours]
    assert ids_in_index(index, email="kim@example.COM") == [ours]
    assert ids_in_index(index, metadata={"event_id": "concert-7", "user_id": "u-1"}) == [ours]
    assert ids_in_index(index, metadata={"event_id": "concert-7", "user_id": "u-10"}) == []
    assert ids_in_index(index, metadata={"event_id": "concert"}) == []
    assert ids_in_index(index, metadata={"event_id": "u-1"}) == []
    (match,) = index.walk(PaymentFilter(metadata={"event_id": "concert-7"}))
    assert (match.summary.amount, match.summary.status) == (4200, "succeeded")
    assert match.summary.metadata == metadata


def test_a_payment_is_listed_under_the_status_it_has_and_no_other(
    hands: Hands, index: PaymentIndex
) -> None:
    payment = hands.pay("pm_card_authenticationRequired").get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    assert ids_in_index(index, status="requires_action") == [payment]
    hands.client.post(f"/api/payment/{payment}/cancel", json={})
    hands.deliver_events()
    hands.work()
    assert ids_in_index(index) == [payment]
    assert ids_in_index(index, status="canceled") == [payment]
    assert ids_in_index(index, status="requires_action") == []


def test_pages_of_every_size_give_each_payment_once_in_order(
    hands: Hands, index: PaymentIndex
) -> None:
    payments = [pay(hands) for _ in range(7)]
    declined = hands.pay("pm_card_chargeDeclined").get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    everything = [declined, *reversed(payments)]
    for size in (1, 2, 3, 7, 8, 9):
        ids: list[str] = []
        more = True
        while more:
            page, more = index.page(PaymentFilter(), size, ids[-1] if ids else None)
            ids += [one.record.id for one in page]
        assert ids == everything
    with pytest.raises(CallerError):
        index.page(PaymentFilter(), 3, "pi_unknown")


def test_a_time_is_counted_from_its_first_second_and_before_its_last(
    hands: Hands, index: PaymentIndex
) -> None:
    payment = pay(hands)
    (match,) = index.walk(PaymentFilter())
    created = match.summary.created
    assert ids_in_index(index, since=created) == [payment]
    assert ids_in_index(index, since=created + 1) == []
    assert ids_in_index(index, until=created + 1) == [payment]
    assert ids_in_index(index, until=created) == []


def test_a_refund_and_a_dispute_lead_to_their_payment(hands: Hands, index: PaymentIndex) -> None:
    disputed = pay(hands, method="pm_card_createDispute")
    refunded = pay(hands)
    hands.client.post("/api/refund/process", json={"payment_intent_id": refunded})
    hands.work()
    hands.deliver_events()
    hands.work()
    ids_of = {one.record.id: one.ids for one in index.walk(PaymentFilter())}
    (refund,), (dispute,) = ids_of[refunded], ids_of[disputed]
    assert (refund[:3], ids_in_index(index, id=refund)) == ("re_", [refunded])
    assert ids_in_index(index, id=dispute) == [disputed]
    assert ids_in_index(index, disputed=True) == [disputed]
    assert ids_in_index(index, disputed=False) == [refunded]


def test_what_outlived_its_payment_is_not_shown_and_goes(hands: Hands, index: PaymentIndex) -> None:
    expired_payment, remaining = pay(hands), pay(hands)
    store = hands.runtime.store
    store.redis.delete(store.keys.payment(expired_payment))
    assert ids_in_index(index) == [remaining]
    members = store.redis.zrange(store.keys.payment_index(), 0, -1)
    assert [m for m in members if m.endswith(expired_payment)] == []
    assert [m for m in members if m.endswith(remaining)]


def test_a_lost_index_comes_back_with_the_next_event(hands: Hands, index: PaymentIndex) -> None:
    payment = pay(hands, metadata={"event_id": "e"})
    store = hands.runtime.store
    store.redis.delete(store.keys.payment_index())
    assert ids_in_index(index) == []
    hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    hands.work()
    hands.deliver_events()
    hands.work()
    assert ids_in_index(index, metadata={"event_id": "e"}) == [payment]


def tend(hands: Hands) -> None:
    """Run the duty of upkeep until it has nothing left to do."""
    while payment_index.run_once(hands.runtime) == 0:
        continue


def test_payments_from_before_there_was_an_index_are_indexed(
    hands: Hands, index: PaymentIndex
) -> None:
    payment = pay(hands, metadata={"event_id": "e"})
    store = hands.runtime.store
    store.redis.delete(store.keys.payment_index())
    tend(hands)
    assert ids_in_index(index, metadata={"event_id": "e"}) == [payment]


def test_another_indexed_key_finds_older_payments_too(hands: Hands, settings: Settings) -> None:
    payment = pay(hands, metadata={"seat": "12"})
    tend(hands)
    runtime = hands.runtime
    changed = settings.model_copy(update={"indexed_metadata": ("seat",)})
    hands.runtime = Runtime(changed, runtime.store)
    index = PaymentIndex(runtime.store, runtime.payments, changed.indexed_metadata)
    assert ids_in_index(index, metadata={"seat": "12"}) == []
    tend(hands)
    assert ids_in_index(index, metadata={"seat": "12"}) == [payment]


def test_a_slice_of_the_repair_goes_on_where_the_last_one_ended(
    hands: Hands, index: PaymentIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments = [pay(hands) for _ in range(3)]
    store = hands.runtime.store
    store.redis.delete(store.keys.payment_index())
    monkeypatch.setattr(payment_index_repair, "CHUNK", 1)
    repair = IndexRepair(store, hands.runtime.payments, hands.runtime.settings.indexed_metadata)
    assert not repair.fill(seconds=0)
    slices = 1
    while not repair.fill(seconds=0):
        slices += 1
    assert slices > 3
    assert ids_in_index(index) == payments[::-1]


def test_upkeep_removes_what_outlived_its_payment_and_nothing_else(
    hands: Hands, index: PaymentIndex
) -> None:
    expired_payment, remaining = pay(hands), pay(hands)
    store = hands.runtime.store
    tend(hands)
    before = store.redis.zcard(store.keys.payment_index())
    store.redis.delete(store.keys.payment(expired_payment))
    tend(hands)
    members = store.redis.zrange(store.keys.payment_index(), 0, -1)
    assert {m[-len(remaining) :] for m in members} == {remaining}
    assert len(members) == before / 2
    assert ids_in_index(index) == [remaining]


def test_no_repair_is_made_on_an_old_reading(hands: Hands, index: PaymentIndex) -> None:
    payment = pay(hands)
    store = hands.runtime.store
    names = {"payment": store.keys.payment(payment), "payment_index": store.keys.payment_index()}
    (member, *_) = store.redis.zrange(store.keys.payment_index(), 0, -1)
    old = hands.runtime.payments.read(payment).revision
    store.redis.hincrby(store.keys.payment(payment), "revision", 1)
    for revision in (old, "0"):
        assert store.run(Call("forget", names, [revision, member])) == 0
        assert store.run(Call("index", names, [revision, 0, "another"])) == 0
    now = hands.runtime.payments.read(payment).revision
    assert store.run(Call("index", names, [now, 0, "another"])) == 1
    assert store.run(Call("forget", names, [now, "another"])) == 1
