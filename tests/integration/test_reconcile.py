"""Reconcile: every missing event is recorded once, wherever a run is interrupted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from shared.errors import Misconfigured, Unavailable
from shared.store.scripts import Store
from shared.work.kinds import EVENTS, UPKEEP
from shared.work.reconciliation import OWN, Reconciliation
from tests.conftest import make_settings
from tests.integration.hands import Hands
from tests.servers import PATIENCE_SECONDS
from worker import reconcile
from worker.jobs import JOBS
from worker.registry import handled_types
from worker.relay import ensure_duties, run_once
from worker.run import run
from worker.runtime import Runtime

Json = dict[str, Any]
DAY = 86_400
PAGE = 20  # events, instead of Stripe's 100: a fifth of the events makes as many calls


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "PAGE_LIMIT", PAGE)
    monkeypatch.setattr("shared.stripe.gateway.PAGE_LIMIT", PAGE)


@pytest.fixture
def one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """List the types of these tests' events only, so that calls can be counted."""
    monkeypatch.setattr(reconcile, "LANES", (("charge.pending",),))


class Archive:
    """Stripe's list of events as documented: newest first, by seconds, in pages."""

    def __init__(self, *events: Json) -> None:
        self.accounts: dict[str | None, list[Json]] = {None: list(events)}
        self.calls = 0
        self.fails_after: int | None = None

    def events(self, account: str | None = None, **filters: Any) -> Any:
        self.calls += 1
        if self.fails_after is not None and self.calls > self.fails_after:
            raise Unavailable("Stripe is ill.", code="stripe_error")
        bounds = filters["created"]
        page = [
            event
            for event in reversed(self.accounts[account])
            if bounds["gte"] <= event["created"] <= bounds["lte"]
            and event["type"] in filters["types"]
        ]
        page.sort(key=lambda event: -event["created"])
        if "starting_after" in filters:
            ids = [event["id"] for event in page]
            page = page[ids.index(filters["starting_after"]) + 1 :]
        yield page[:PAGE]

    def connected_accounts(self) -> list[str]:
        return [name for name in self.accounts if name]


def event(number: int, created: int, **more: Any) -> Json:
    """Make an event without consequences."""
    return {
        "id": f"evt_{number}",
        "object": "event",
        "type": "charge.pending",
        "created": created,
        "livemode": False,
        "data": {"object": {"id": f"ch_{number}", "object": "charge"}},
    } | more


@pytest.fixture
def offline(store: Store) -> Runtime:
    """Build a runtime on either store; the test provides its Stripe."""
    return Runtime(make_settings(stripe_api_base="http://127.0.0.1:9"), store)


def with_archive(runtime: Runtime, archive: Archive) -> Archive:
    """Replace Stripe by an archive."""
    runtime.__dict__["gateway"] = archive
    return archive


def recorded(store: Store) -> set[str]:
    """List the ids of all recorded events."""
    return set(store.redis.zrange(store.keys.index(EVENTS), 0, -1))


NOW = 1_790_000_000


def patient_run(runtime: Runtime, now: int | None = None) -> reconcile.Reconciled:
    """Run once, with a time limit that a busy machine does not reach."""
    return reconcile.run_once(runtime, now, budget_seconds=PATIENCE_SECONDS)


def test_an_empty_store_is_rebuilt_from_all_that_stripe_keeps(offline: Runtime) -> None:
    events = [event(n, NOW - 29 * DAY + n * 30 * 3600) for n in range(20)]
    archive = with_archive(offline, Archive(*events))
    comparison = patient_run(offline, NOW)
    assert (comparison.outcome, comparison.seen, comparison.recorded) == ("complete", 20, 20)
    assert recorded(offline.store) == {e["id"] for e in events}
    assert archive.calls < 20


def test_events_are_recorded_oldest_first(offline: Runtime) -> None:
    events = [event(n, NOW - 5000 + 5 * n) for n in range(200)]
    with_archive(offline, Archive(*events))
    patient_run(offline, NOW)
    bells = reversed(offline.store.redis.lrange(offline.store.keys.queue(EVENTS), 0, -1))
    order = [json.loads(json.loads(message)["body"])[0][0] for message in bells]
    assert order == [e["id"] for e in events]


@pytest.mark.parametrize("many", [19, 20, 21, 40, pytest.param(469, marks=pytest.mark.long)])
def test_a_second_with_more_events_than_pages_hold_is_read_whole(
    offline: Runtime, many: int
) -> None:
    events = [event(n, NOW - 3000) for n in range(many)]
    around = [event(10_000, NOW - 3001), event(10_001, NOW - 2999)]
    with_archive(offline, Archive(around[0], *events, around[1]))
    # The test is not about time: fakeredis is slow, and the machine may be.
    assert reconcile.run_once(offline, NOW, budget_seconds=120).recorded == many + 2
    assert len(recorded(offline.store)) == many + 2


def even(count: int, seconds: int) -> list[int]:
    """Spread events evenly over the time before now."""
    return [NOW - seconds + n * seconds // count for n in range(count)]


@pytest.mark.usefixtures("one_lane")
@pytest.mark.parametrize(
    ("created", "most"),
    [
        ([], 8),
        (even(20, 29 * DAY), 12),
        pytest.param(even(4_000, 29 * DAY), 700, marks=pytest.mark.long),
        ([NOW - 1] * 90, 15),
        ([NOW - 20 * DAY] * 90, 40),
        (even(600, 60), 140),
        (even(60, 10 * DAY) + even(200, 3600), 60),
    ],
    ids=["nothing", "a few", "many", "a burst now", "a burst long ago", "a storm", "both"],
)
def test_a_rebuild_asks_stripe_little_more_than_it_must(
    real_store: Store, created: list[int], most: int
) -> None:
    runtime = Runtime(make_settings(), real_store)
    archive = with_archive(runtime, Archive(*(event(n, at) for n, at in enumerate(created))))
    reconcile.run_once(runtime, NOW, budget_seconds=1000)
    assert len(recorded(real_store)) == len(created)
    assert archive.calls <= most


def test_no_second_is_lost_where_two_runs_meet(offline: Runtime) -> None:
    archive = with_archive(offline, Archive(event(1, NOW - 1), event(2, NOW)))
    patient_run(offline, NOW)
    archive.accounts[None] += [event(3, NOW), event(4, NOW + 1)]
    patient_run(offline, NOW + 1)
    assert recorded(offline.store) == {"evt_1", "evt_2", "evt_3", "evt_4"}


def test_an_event_that_the_list_shows_late_is_found_within_the_overlap(offline: Runtime) -> None:
    archive = with_archive(offline, Archive(event(1, NOW - 100)))
    patient_run(offline, NOW)
    archive.accounts[None].append(event(2, NOW - 500))
    assert patient_run(offline, NOW + 60).recorded == 1


def test_runs_of_one_call_each_find_all(offline: Runtime) -> None:
    events = [event(n, NOW - 4000 + n // 70) for n in range(200)]
    archive = with_archive(offline, Archive(*events))
    runs = 1
    while reconcile.run_once(offline, NOW, budget_seconds=0).outcome == "deadline":
        runs += 1
        assert runs < 200, "it does not get on"
    assert archive.calls == runs
    assert recorded(offline.store) == {e["id"] for e in events}


def test_an_outage_half_way_loses_nothing_and_repeats_little(offline: Runtime) -> None:
    events = [event(n, NOW - 4000 + 5 * n) for n in range(200)]
    archive = with_archive(offline, Archive(*events))
    archive.fails_after = 25
    with pytest.raises(Unavailable):
        patient_run(offline, NOW)
    before = len(recorded(offline.store))
    assert 0 < before < 200
    archive.fails_after = None
    assert patient_run(offline, NOW).recorded == 200
    assert recorded(offline.store) == {e["id"] for e in events}


def test_a_full_inbox_stops_the_run_and_the_next_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(make_settings(max_waiting_events=30), store)
    with_archive(runtime, Archive(*(event(n, NOW - 4000 + n // 7) for n in range(100))))
    assert patient_run(runtime, NOW).outcome == "full"
    assert len(recorded(store)) == 30
    for _ in range(10):
        store.redis.delete(store.keys.due(EVENTS))
        comparison = patient_run(runtime, NOW)
    assert (comparison.outcome, len(recorded(store))) == ("complete", 100)


def test_an_event_that_does_not_name_its_account_is_recorded_with_it(offline: Runtime) -> None:
    archive = with_archive(offline, Archive(event(1, NOW - 10)))
    archive.accounts["acct_one"] = [event(2, NOW - 20_000)]
    archive.accounts["acct_two"] = [event(3, NOW - 30_000)]
    patient_run(offline, NOW)
    assert recorded(offline.store) == {"evt_1", "evt_2", "evt_3"}
    assert offline.store.hash(offline.store.keys.item(EVENTS, "evt_2"))["account"] == "acct_one"
    report = Reconciliation(offline.store).report()
    assert report["watermarks"] == {OWN: NOW, "acct_one": NOW, "acct_two": NOW}


def test_a_refused_key_is_an_error_and_no_empty_archive(offline: Runtime) -> None:
    archive = with_archive(offline, Archive())
    archive.events = lambda *_, **__: (_ for _ in ()).throw(Misconfigured("no"))  # our own seam
    with pytest.raises(Misconfigured):
        patient_run(offline, NOW)
    assert Reconciliation(offline.store).place(OWN).watermark is None


def test_the_gap_counts_what_ought_to_have_come_long_ago(offline: Runtime) -> None:
    archive = with_archive(offline, Archive())
    patient_run(offline, NOW)
    archive.accounts[None] += [event(1, NOW + 10), event(2, NOW + 295)]
    comparison = patient_run(offline, NOW + 300)
    assert (comparison.recorded, comparison.gap) == (2, 1)


def test_known_events_are_not_written_again(offline: Runtime) -> None:
    with_archive(offline, Archive(event(1, NOW - 10)))
    patient_run(offline, NOW)
    patient_run(offline, NOW)
    assert offline.store.hash(offline.store.keys.item(EVENTS, "evt_1"))["deliveries"] == "1"


def test_events_of_the_other_mode_are_left_alone(offline: Runtime) -> None:
    with_archive(offline, Archive(event(1, NOW - 10, livemode=True)))
    assert patient_run(offline, NOW).recorded == 0


# Tests with the sandbox.


def drop_deliveries(sandbox: str) -> None:
    """Make Stripe deliver no webhooks."""
    body = {"mode": "dropped"}
    requests.post(f"{sandbox}/_sandbox/deliveries", json=body, timeout=5).raise_for_status()


def test_what_no_webhook_brought_is_told_all_the_same(hands: Hands) -> None:
    drop_deliveries(hands.sandbox)
    payment = hands.pay().get_json()["payment_intent_id"]
    patient_run(hands.runtime)
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]
    events = [e for e in hands.runtime.payments.timeline(payment) if e["kind"] == "event_received"]
    assert {e["source"] for e in events} == {"reconcile"}


def test_a_store_flushed_in_mid_flight_ends_complete_with_the_same_ids(hands: Hands) -> None:
    for _ in range(3):
        hands.pay()
    hands.deliver_events()
    hands.work()
    hands.pay()
    notifications = {item["id"] for item in hands.notifications()}
    assert len(notifications) == 3
    hands.runtime.store.redis.flushall()
    patient_run(hands.runtime)
    hands.work()
    all_notifications = hands.notifications()
    assert len({item["id"] for item in all_notifications}) == 4
    assert notifications < {item["id"] for item in all_notifications}


def pay_for(hands: Hands, account: str) -> str:
    """Take a payment for a connected account, without its webhooks."""
    body = {"amount": 700, "currency": "sgd", "payment_method": "pm_card_visa"}
    headers = {"Stripe-Account": account}
    answer = hands.client.post("/api/payment/process", json=body, headers=headers)
    payment: str = answer.get_json()["payment_intent_id"]
    return payment


def accounts_at_stripe(hands: Hands, method: str, path: str = "") -> Json:
    """Create or delete an account that is connected to ours."""
    url = f"{hands.sandbox}/v1/accounts{path}"
    headers = {"Authorization": "Bearer sk_test_tests_0123456789"}
    answer = requests.request(method, url, headers=headers, timeout=5)
    answer.raise_for_status()
    account: Json = answer.json()
    return account


@pytest.fixture
def connected(hands: Hands) -> list[str]:
    """Return three connected accounts, newest first, as Stripe lists them."""
    return [str(accounts_at_stripe(hands, "POST")["id"]) for _ in range(3)][::-1]


def test_a_lost_store_is_rebuilt_from_every_connected_account(
    hands: Hands, connected: list[str]
) -> None:
    one, two, idle = connected
    payments = {
        pay_for(hands, one),
        pay_for(hands, two),
        hands.pay().get_json()["payment_intent_id"],
    }
    hands.runtime.store.redis.flushall()
    assert patient_run(hands.runtime).outcome == "complete"
    hands.work()
    successes = hands.notifications(type="payment.succeeded")
    assert {item["body"]["data"]["payment_intent_id"] for item in successes} == payments
    assert len(successes) == len(payments)
    report = Reconciliation(hands.runtime.store).report()
    assert set(report["watermarks"]) == {OWN, one, two, idle}
    assert None not in report["watermarks"].values()
    for account in (one, two):
        [[event]] = hands.runtime.gateway.events(account, type="payment_intent.succeeded")
        assert (
            hands.runtime.store.hash(hands.runtime.store.keys.item(EVENTS, event["id"]))["account"]
            == account
        )


def test_accounts_are_found_however_many_pages_list_them(
    hands: Hands, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in (1, 2, 3, 4):
        monkeypatch.setattr("shared.stripe.gateway.PAGE_LIMIT", limit)
        assert list(hands.runtime.gateway.connected_accounts()) == connected


def test_an_account_that_is_no_longer_ours_holds_nobody_up(
    hands: Hands, connected: list[str]
) -> None:
    former, stays, _ = connected
    for account in (former, stays):
        pay_for(hands, account)
    patient_run(hands.runtime)
    accounts_at_stripe(hands, "DELETE", f"/{former}")
    late = pay_for(hands, stays)
    assert patient_run(hands.runtime).outcome == "complete"
    hands.work()
    notifications = hands.notifications(type="payment.succeeded")
    payments = [item["body"]["data"]["payment_intent_id"] for item in notifications]
    assert payments[-1] == late
    assert len(payments) == 3


def test_one_event_of_a_connected_account_brings_all_its_others(hands: Hands) -> None:
    patient_run(hands.runtime)
    pay_for(hands, "acct_1Connected")
    listing = next(hands.runtime.gateway.events("acct_1Connected"))
    hands.post_event(next(e for e in listing if e["type"] == "payment_intent.succeeded"))
    pay_for(hands, "acct_1Connected")
    patient_run(hands.runtime)
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"] * 2


def test_on_an_empty_store_the_first_relay_makes_reconcile_due(hands: Hands) -> None:
    hands.pay()
    run_once(hands.runtime.store)
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


def test_reconcile_on_demand_does_not_wait_for_its_time(hands: Hands) -> None:
    run_upkeep_once(hands.runtime)
    hands.pay()
    hands.work()
    assert hands.notified_types() == []
    assert Reconciliation(hands.runtime.store).demand() == "due"
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


def test_reconcile_demanded_while_it_runs_is_done_once_more(hands: Hands) -> None:
    store, demanded = hands.runtime.store, []
    ensure_duties(store)
    server_time = hands.runtime.gateway.server_time

    def in_the_middle() -> tuple[int, int]:
        demanded.append(Reconciliation(store).demand())
        return server_time()

    hands.runtime.gateway.server_time = in_the_middle  # our own seam
    run(JOBS["upkeep"], hands.runtime, "reconcile")
    assert demanded == ["running"]
    assert store.redis.zscore(store.keys.due(UPKEEP), "reconcile") <= store.now_ms()
    hands.runtime.gateway.server_time = server_time  # our own seam
    run(JOBS["upkeep"], hands.runtime, "reconcile")
    assert store.redis.zscore(store.keys.due(UPKEEP), "reconcile") > store.now_ms()


def test_pages_of_events_of_one_second_are_all_found(hands: Hands) -> None:
    create = f"{hands.sandbox}/v1/payment_intents"
    body = {"amount": 1000, "currency": "sgd"}
    headers = {"Authorization": "Bearer sk_test_tests_0123456789"}
    with requests.Session() as session:
        for _ in range(4 * PAGE + PAGE // 2):
            session.post(create, body, headers=headers, timeout=5).raise_for_status()
    ids = {e["id"] for page in hands.runtime.gateway.events() for e in page}
    assert len(ids) > 4 * PAGE
    patient_run(hands.runtime)
    assert recorded(hands.runtime.store) == ids


def run_upkeep_once(runtime: Runtime) -> None:
    """Run the duty `reconcile` as a worker does."""
    ensure_duties(runtime.store)
    run(JOBS["upkeep"], runtime, "reconcile")


def test_all_handled_types_are_listed_in_calls_that_stripe_takes(hands: Hands) -> None:
    assert sorted(t for lane in reconcile.LANES for t in lane) == handled_types()
    assert all(len(lane) <= reconcile.TYPES_PER_CALL for lane in reconcile.LANES)
    hands.pay()
    payment = hands.runtime.gateway
    assert patient_run(hands.runtime).recorded == len(
        [e for page in payment.events() for e in page if e["type"] in handled_types()]
    )


def test_a_type_that_is_not_handled_is_no_gap(offline: Runtime) -> None:
    others = ("balance.available", "payout.paid", "customer.created")
    strange = [event(n, NOW - 3000, type=name) for n, name in enumerate(others)]
    dispute = event(7, NOW - 2000, type="charge.dispute.created")
    with_archive(offline, Archive(*strange, event(8, NOW - 2500), dispute))
    comparison = patient_run(offline, NOW)
    assert (comparison.seen, comparison.recorded, comparison.gap) == (2, 2, 2)
    assert recorded(offline.store) == {"evt_7", "evt_8"}


def test_a_round_that_is_stopped_between_two_lanes_counts_nothing_twice(offline: Runtime) -> None:
    events = [event(1, NOW - 3000), event(2, NOW - 2000, type="refund.created")]
    archive = with_archive(offline, Archive(*events))
    outcomes = []
    for _ in range(100):
        comparison = reconcile.run_once(offline, NOW, budget_seconds=0)
        outcomes.append(comparison.outcome)
        if comparison.outcome == "complete":
            break
    assert outcomes[-1] == "complete"
    assert len(outcomes) == archive.calls
    assert (comparison.seen, comparison.recorded) == (2, 2)


def test_an_event_that_cannot_be_read_holds_no_other_up(offline: Runtime) -> None:
    odd = event(1, NOW - 3000, data={"object": {"object": "charge", "id": "ch_1", "amount": "x"}})
    with_archive(offline, Archive(odd, event(2, NOW - 2000)))
    comparison = patient_run(offline, NOW)
    assert (comparison.outcome, comparison.recorded, comparison.gap) == ("complete", 1, 1)
    assert recorded(offline.store) == {"evt_2"}
