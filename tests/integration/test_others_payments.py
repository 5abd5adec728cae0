"""Payments that others make on the same account, and payments with a fraud warning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import CallerError
from shared.refund_metadata import callers_own
from shared.settings import Settings
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work.kinds import EVENTS
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.money import alone, charge, event, intent, refund, warning
from worker.runtime import Runtime

Json = dict[str, Any]
FOREIGN: Json = {"metadata": {"order_id": "other"}, "amount_received": 2000}


@pytest.fixture
def with_settings(
    settings: Settings, real_store: Store, sandbox: str, receiver: str
) -> Iterator[Any]:
    """Build a service whose settings differ."""
    built: list[Runtime] = []

    def build(**changes: Any) -> Hands:
        changed = settings.model_copy(update=changes)
        runtime = Runtime(changed, real_store)
        built.append(runtime)
        return Hands(open_door(changed, real_store), runtime, sandbox, receiver)

    yield build
    for runtime in built:
        runtime.event_service.close()


def state_of(hands: Hands, one: Json) -> str:
    keys = hands.runtime.store.keys
    return hands.runtime.store.hash(keys.item(EVENTS, one["id"]))["state"]


def work(hands: Hands, *events: Json) -> list[str]:
    for one in events:
        assert hands.post_event(one).status_code == 200
    hands.work()
    return hands.notified_types()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the wait for an event that says whose payment it is."""
    alone(monkeypatch)
    monkeypatch.setattr("worker.events.PAYMENT_PATIENCE_SECONDS", 0.1)


@pytest.mark.parametrize(
    ("policy", "types", "state"),
    [
        ("tell", ["payment.succeeded"], "processed"),
        ("list", [], "processed"),
        ("ignore", [], "ignored"),
    ],
)
def test_a_payment_of_another_shop_is_told_listed_or_ignored(
    with_settings: Any, policy: str, types: list[str], state: str
) -> None:
    hands = with_settings(others_payments=policy)
    payment = event("payment_intent.succeeded", intent(**FOREIGN))
    assert work(hands, payment) == types
    assert state_of(hands, payment) == state
    assert bool(hands.runtime.payments.read("pi_1").known) == (policy != "ignore")


@pytest.mark.parametrize("policy", ["list", "ignore"])
def test_a_payment_that_was_made_here_is_told_though_its_metadata_say_nothing(
    with_settings: Any, policy: str
) -> None:
    hands = with_settings(others_payments=policy)
    hands.pay()
    hands.deliver_events()
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


@pytest.mark.parametrize("policy", ["list", "ignore"])
@pytest.mark.parametrize("created_first", [True, False])
def test_a_payment_is_known_by_the_request_of_any_of_its_events(
    with_settings: Any, monkeypatch: pytest.MonkeyPatch, policy: str, created_first: bool
) -> None:
    monkeypatch.setattr("worker.events.PAYMENT_PATIENCE_SECONDS", 2.0)
    hands = with_settings(others_payments=policy)
    request = {"id": "req_1", "idempotency_key": "billing-payment-abc"}
    calls = intent(status="requires_action", **FOREIGN)
    created = event("payment_intent.created", calls, request=request)
    # The customer authenticated it, so no request of ours caused it.
    payment = event("payment_intent.succeeded", intent(**FOREIGN))
    order = [created, payment] if created_first else [payment, created]
    assert work(hands, *order) == ["payment.succeeded"]


@pytest.mark.parametrize("policy", ["list", "ignore"])
def test_a_refund_that_was_made_here_is_told_of_anothers_payment(
    with_settings: Any, policy: str
) -> None:
    hands = with_settings(others_payments=policy)
    request = {"id": "req_1", "idempotency_key": "billing-refund-rr_0123456789abcdef"}
    ours = event("refund.created", refund(), request=request)
    updated = event("refund.updated", refund(status="failed"))
    other = event("refund.created", refund(id="re_2"))
    assert work(hands, ours, updated, other) == ["refund.succeeded", "refund.failed"]


def test_metadata_that_name_an_event_make_a_payment_ours(with_settings: Any) -> None:
    hands = with_settings(others_payments="ignore")
    payment = event("payment_intent.succeeded", intent(amount_received=2000))
    assert work(hands, payment) == ["payment.succeeded"]


# Payments that are refunded at once because of an early fraud warning.


def at_stripe(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[Json]:
    """Make Stripe return the payment; list the refunds that are requested."""
    calls: list[Json] = []
    hold = intent(amount_received=2000, latest_charge=charge(amount_refunded=500)) | changes

    def create(_: object, *, params: Json, idempotency_key: str, account: str | None) -> Json:
        calls.append(params | {"account": account, "key": idempotency_key})
        return refund(reason="fraudulent")

    monkeypatch.setattr(StripeGateway, "payment", lambda *_: hold)
    monkeypatch.setattr(StripeGateway, "create_refund", create)
    return calls


def test_a_warned_payment_is_refunded_whole_and_once(
    with_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, calls = with_settings(refund_warned_up_to=("sgd:1500",)), at_stripe(monkeypatch)
    created = "radar.early_fraud_warning.created"
    warnings = [event(created, warning(), account="acct_1Seller") for _ in range(2)]
    assert work(hands, *warnings) == ["payment.fraud_warning"]
    assert len({refund.pop("key") for refund in calls}) == len(calls) == 1
    assert callers_own(calls[0].pop("metadata")) == {}
    assert calls == [
        {"payment_intent": "pi_1", "reason": "fraudulent", "account": "acct_1Seller"},
    ]


@pytest.mark.parametrize(
    ("limits", "warned", "stripe"),
    [
        ((), {}, {}),
        (("sgd:1499",), {}, {}),
        (("usd:100000",), {}, {}),
        (("sgd:1500",), {"actionable": False}, {}),
        (("sgd:1500",), {}, {"status": "requires_capture"}),
        (("sgd:1500",), {}, {"latest_charge": charge(disputed=True)}),
        (("sgd:1500",), {}, {"latest_charge": charge(amount_refunded=2000)}),
    ],
    ids=["off", "too much", "currency", "not actionable", "unpaid", "disputed", "refunded"],
)
def test_a_warned_payment_is_left_alone_otherwise(
    with_settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[str, ...],
    warned: Json,
    stripe: Json,
) -> None:
    hands, calls = with_settings(refund_warned_up_to=limits), at_stripe(monkeypatch, **stripe)
    types = work(hands, event("radar.early_fraud_warning.created", warning(**warned)))
    assert (types, calls) == (["payment.fraud_warning"], [])


def test_a_warning_is_told_though_its_payment_is_not_shown(
    with_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Json:
        raise CallerError("No.", status=403, code="account_invalid")

    monkeypatch.setattr(StripeGateway, "payment", refuse)
    hands = with_settings(refund_warned_up_to=("sgd:1500",))
    types = work(hands, event("radar.early_fraud_warning.created", warning()))
    assert types == ["payment.fraud_warning"]
