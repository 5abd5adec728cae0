"""The budget of calls to Stripe: it keeps the limits, payments come first and never wait."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BoundedSemaphore
from typing import Any, cast

import pytest
import requests
from redis import Redis

from shared.errors import OverBudget
from shared.settings import Settings
from shared.store.connection import connect, open_store
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work import stripe_budget
from shared.work.kinds import REFUNDS, UPKEEP
from shared.work.stripe_budget import Budget, Priority, PromptBudget
from tests.conftest import make_settings
from tests.integration.hands import Hands
from worker.jobs import JOBS
from worker.relay import run_once, sweep
from worker.run import run

ENDPOINT = "refunds.create"
OTHER = "charges.retrieve"


def budget(store: Store, priority: Priority, **settings: Any) -> Budget:
    return Budget(store, make_settings(**settings), priority, BoundedSemaphore(8))


def prompt(store: Store, **settings: Any) -> PromptBudget:
    """Return the API's budget without its thread: a test calls `flush` itself."""
    budget = PromptBudget(store, make_settings(**settings))
    budget._thread = threading.current_thread()  # our own seam
    return budget


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no thread wait for a token."""
    monkeypatch.setattr(stripe_budget, "PATIENCE_SECONDS", 0.0)


def drawn(budget: Budget, endpoint: str = ENDPOINT, most: int = 200) -> int:
    """Count the calls until one is put off."""
    for count in range(most):
        try:
            budget.draw(None, endpoint)
        except OverBudget:
            return count
    return most


def exhaust(store: Store, endpoint: str, owed: int = 40) -> None:
    """Empty a bucket so far that no call gets a token for two seconds."""
    key = store.keys.budget("test", "own")
    store.redis.hset(key, f"{endpoint}:level", -owed)
    store.redis.hset(key, f"{endpoint}:at", store.now_ms())


def busiest_second(times: list[float]) -> int:
    times = sorted(times)
    return max(sum(start <= t < start + 1 for t in times) for start in times)


def test_no_second_has_more_calls_than_the_limit(real_store: Store) -> None:
    refunds = budget(real_store, Priority.REFUNDS)
    until, times = time.monotonic() + 2.5, []

    def call(_: int) -> None:
        while time.monotonic() < until:
            try:
                refunds.draw(None, ENDPOINT)
                times.append(time.monotonic())
            except OverBudget:
                time.sleep(0.01)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(call, range(6)))
    assert 30 <= len(times) <= 60
    assert busiest_second(times) <= 25


def fill(store: Store, bucket: str, level: float) -> None:
    """Fill a bucket to this level, with a time an hour ahead, so that nothing flows in."""
    key = store.keys.budget("test", "own")
    store.redis.hset(key, f"{bucket}:level", level)
    store.redis.hset(key, f"{bucket}:at", store.now_ms() + 3_600_000)


def is_put_off(budget: Budget, endpoint: str = ENDPOINT, account: str | None = None) -> bool:
    try:
        budget.draw(account, endpoint)
    except OverBudget:
        return True
    return False


@pytest.mark.usefixtures("impatient")
def test_the_account_has_a_limit_over_all_its_endpoints(store: Store) -> None:
    looks = budget(store, Priority.LOOK_UPS, stripe_rate_limit=20)
    fill(store, "account", 1.7)  # of 4, of which look-ups leave a quarter of what is over 1
    assert is_put_off(looks, "endpoint-1")
    assert not is_put_off(looks, "endpoint-1", "acct_1")
    fill(store, "account", 1.8)
    assert not is_put_off(looks, "endpoint-2")


@pytest.mark.usefixtures("impatient")
def test_who_comes_last_leaves_a_reserve_to_those_before(store: Store) -> None:
    refunds, looks = budget(store, Priority.REFUNDS), budget(store, Priority.LOOK_UPS)
    fill(store, ENDPOINT, 3.0)
    assert not is_put_off(refunds)
    fill(store, ENDPOINT, 2.9)
    assert is_put_off(refunds)
    assert not is_put_off(looks)
    fill(store, ENDPOINT, 1.9)
    assert is_put_off(looks)
    fill(store, ENDPOINT, 3.5)
    fill(store, "account", 10.4)  # of 20, half of what is over 1
    assert is_put_off(refunds)
    fill(store, "account", 10.5)
    assert not is_put_off(refunds)


@pytest.mark.usefixtures("impatient")
def test_payments_go_into_debt_and_the_others_wait_for_it(store: Store) -> None:
    payments = prompt(store)
    for _ in range(40):
        payments.draw(None, ENDPOINT)
    payments.flush()
    with pytest.raises(OverBudget) as put_off:
        budget(store, Priority.LOOK_UPS).draw(None, ENDPOINT)
    # A bucket owes at most one second's calls, however many were made: 27 tokens at 20 a second.
    assert 0.5 <= put_off.value.delay_seconds <= 1.41
    with pytest.raises(OverBudget) as put_off:
        budget(store, Priority.LOOK_UPS).draw(None, OTHER)
    assert put_off.value.delay_seconds <= 0.35  # the account's bucket owes, the endpoint's does not


def test_an_hour_without_calls_saves_no_more_than_one_burst(store: Store) -> None:
    refunds, key = budget(store, Priority.REFUNDS), store.keys.budget("test", "own")
    for name in ("account", ENDPOINT):
        fill(store, name, 0.0)
        store.redis.hincrby(key, f"{name}:at", -2 * 3_600_000)
    refunds.draw(None, ENDPOINT)
    levels = store.fields(key, "account:level", f"{ENDPOINT}:level")
    assert [float(str(level)) for level in levels] == [19.0, 4.0]


@pytest.mark.usefixtures("impatient")
def test_each_who_is_put_off_is_told_a_turn_of_his_own(store: Store) -> None:
    began = store.now_ms()
    exhaust(store, ENDPOINT)
    refunds = budget(store, Priority.REFUNDS)
    for _ in range(10):
        with pytest.raises(OverBudget):
            refunds.draw(None, ENDPOINT)
    line = store.fields(store.keys.budget("test", "own"), f"{ENDPOINT}:line:refunds")[0]
    # The debt and the reserve are filled after 2.15 s; then there is a turn every 50 ms.
    assert 2640 <= int(str(line)) - began <= 3000


@pytest.mark.usefixtures("impatient")
def test_a_line_from_before_the_clock_was_set_back_holds_nobody_up(store: Store) -> None:
    refunds = budget(store, Priority.REFUNDS)
    exhaust(store, ENDPOINT)
    late = store.now_ms() + 50 * 3_600_000
    key = store.keys.budget("test", "own")
    store.redis.hset(key, f"{ENDPOINT}:line:refunds", late)
    for name in ("account", ENDPOINT):
        store.redis.hset(key, f"{name}:at", late)
    with pytest.raises(OverBudget) as put_off:
        refunds.draw(None, ENDPOINT)
    assert put_off.value.delay_seconds < 3


def turns_apart(store: Store) -> float:
    """Return the seconds between two turns at an exhausted endpoint."""
    exhaust(store, ENDPOINT)
    key, turns = store.keys.budget("test", "own"), []
    store.redis.hdel(key, f"{ENDPOINT}:line:refunds")
    for _ in range(2):
        with pytest.raises(OverBudget):
            budget(store, Priority.REFUNDS).draw(None, ENDPOINT)
        turns.append(int(str(store.fields(key, f"{ENDPOINT}:line:refunds")[0])))
    return (turns[1] - turns[0]) / 1000


@pytest.mark.usefixtures("impatient")
def test_a_refusal_halves_the_rate_of_what_was_limited_and_it_recovers(store: Store) -> None:
    refunds, key = budget(store, Priority.REFUNDS), store.keys.budget("test", "own")
    assert 0.05 <= turns_apart(store) <= 0.052
    refunds.lower(None, [ENDPOINT])
    refunds.lower(None, [ENDPOINT])  # at the same time, so the same sign
    assert float(str(store.fields(key, f"{ENDPOINT}:share")[0])) == 0.5
    assert 0.07 < turns_apart(store) <= 0.102
    assert drawn(refunds, OTHER) > 0
    passed = store.now_ms() - stripe_budget.RECOVERY_MS // 2
    store.redis.hset(key, f"{ENDPOINT}:lowered_at", passed)
    assert 0.05 <= turns_apart(store) <= 0.052


def test_however_often_a_rate_is_halved_a_share_of_it_is_left(store: Store) -> None:
    refunds, key = budget(store, Priority.REFUNDS), store.keys.budget("test", "own")
    for _ in range(6):
        refunds.lower(None, [ENDPOINT])
        before = store.now_ms() - stripe_budget.TOGETHER_MS
        store.redis.hset(key, f"{ENDPOINT}:lowered_at", before)
    share = store.fields(key, f"{ENDPOINT}:share")[0]
    assert float(str(share)) == stripe_budget.LEAST_SHARE


def limit(sandbox: str, **limits: int | None) -> None:
    url = f"{sandbox}/_sandbox/rate_limits"
    requests.post(url, json=limits, timeout=5).raise_for_status()


@pytest.fixture
def unlimited(sandbox: str) -> Iterator[None]:
    """Remove the sandbox's limits after the test."""
    yield
    requests.delete(f"{sandbox}/_sandbox/rate_limits", timeout=5).raise_for_status()


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize(
    ("limits", "lowered"),
    [
        ({"per_endpoint": 1, "per_account": None}, {"payment_intents.retrieve"}),
        ({"per_endpoint": None, "per_account": 1}, {"account"}),
    ],
)
def test_what_a_429_names_is_lowered(
    hands: Hands, sandbox: str, limits: dict[str, int | None], lowered: set[str]
) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    limit(sandbox, **limits)
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(hands.runtime.gateway.payment, payment) for _ in range(3)]
    codes = {getattr(one.exception(), "code", "ok") for one in calls}
    assert codes == {"ok", "stripe_rate_limited"}
    store = hands.runtime.store
    state = store.hash(store.keys.budget("test", "own"))
    assert {name.removesuffix(":share") for name in state if name.endswith(":share")} == lowered


def test_waiting_for_the_budget_costs_a_refund_no_attempt(
    hands: Hands, real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_budget, "PATIENCE_SECONDS", 0.0)
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    exhaust(hands.runtime.store, ENDPOINT)
    answer = hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    job = answer.get_json()["refund_request_id"]
    run(JOBS[REFUNDS.name], hands.runtime, job)
    fields = hands.runtime.refund_jobs.read(job)
    assert (fields["attempts"], fields["state"]) == ("0", "retrying")
    assert "first_attempt_at" not in fields  # Stripe forgets its keys a day after a call
    hands.work()
    fields = hands.runtime.refund_jobs.read(job)
    assert (fields["attempts"], fields["state"]) == ("1", "finished")


def test_an_old_job_that_waits_is_not_given_up(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_budget, "PATIENCE_SECONDS", 0.0)
    payment = hands.pay().get_json()["payment_intent_id"]
    exhaust(hands.runtime.store, ENDPOINT)
    answer = hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    job = answer.get_json()["refund_request_id"]
    store = hands.runtime.store
    two_days_ago = store.now_ms() - 2 * 86_400_000
    store.redis.hset(store.keys.item(REFUNDS, job), "recorded_at", two_days_ago)
    run(JOBS[REFUNDS.name], hands.runtime, job)
    assert hands.runtime.refund_jobs.read(job)["state"] == "retrying"


def test_a_duty_that_is_put_off_comes_back_in_its_turn(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_budget, "PATIENCE_SECONDS", 0.0)
    store = hands.runtime.store
    run_once(store)
    exhaust(store, "events.list")
    run(JOBS[UPKEEP.name], hands.runtime, "reconcile")
    due = float(cast(float, store.redis.zscore(store.keys.due(UPKEEP), "reconcile")))
    assert 1_000 < due - store.now_ms() < 3_000


def test_a_payment_does_not_wait_for_the_budget_nor_for_redis(
    valkey_url: str, sandbox: str, hands: Hands
) -> None:
    payments = prompt(hands.runtime.store)
    for _ in range(200):
        payments.draw(None, "payment_intents.create")
    payments.flush()
    settings = make_settings(redis_url=valkey_url, stripe_api_base=sandbox)
    with connect(settings, "tests") as client:
        gateway = StripeGateway(settings, budget=PromptBudget(Store(client), settings))
        with Redis.from_url(valkey_url) as redis:
            redis.execute_command("CLIENT", "PAUSE", 1500, "ALL")
        started = time.perf_counter()
        intent = gateway.create_payment(
            params={"amount": 500, "currency": "sgd", "payment_method": "pm_card_visa"},
            return_url=None,
            idempotency_key="k",
        )
        assert intent["status"] == "succeeded"
        assert time.perf_counter() - started < 1.0
        with Redis.from_url(valkey_url) as redis:
            assert redis.ping()


def test_the_api_tells_what_it_took(hands: Hands) -> None:
    store = hands.runtime.store
    for _ in range(3):
        assert hands.pay().status_code == 200
    key = store.keys.budget("test", "own")
    give_up_at = time.monotonic() + 5
    while "payment_intents.create:level" not in store.hash(key):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_a_redis_that_does_not_answer_stops_no_call(
    sandbox: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings(redis_url="redis://127.0.0.1:9/0", stripe_api_base=sandbox)
    store = open_store(settings, "tests")
    gateway = StripeGateway(
        settings, budget=Budget(store, settings, Priority.REFUNDS, BoundedSemaphore(1))
    )
    started = time.perf_counter()
    for _ in range(40):
        assert next(gateway.events()) == []
    assert time.perf_counter() - started < 3
    counts = store.tally.take()
    assert counts["billing_stripe_budget", ("refunds", "unanswered"), ""] == 40
    store.redis.close()


def test_those_who_wait_leave_half_of_the_threads_to_others(real_store: Store) -> None:
    settings: Settings = make_settings()
    refunds = Budget(real_store, settings, Priority.REFUNDS, BoundedSemaphore(2))
    exhaust(real_store, ENDPOINT, owed=4)

    together = Barrier(8)

    def call(_: int) -> bool:
        together.wait()
        try:
            refunds.draw(None, ENDPOINT)
        except OverBudget:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        admitted = list(threads.map(call, range(8)))
    assert sum(admitted) == 2


def break_refunds(sandbox: str, **fault: Any) -> None:
    match = {"method": "POST", "path_prefix": "/v1/refunds"}
    calls = {"match": match, "kind": "error", "times": 1} | fault
    requests.post(f"{sandbox}/_sandbox/faults", json=calls, timeout=5).raise_for_status()


def refund(hands: Hands, **fields: Any) -> str:
    payment = hands.pay().get_json()["payment_intent_id"]
    body = {"payment_intent_id": payment} | fields
    return str(hands.client.post("/api/refund/process", json=body).get_json()["refund_request_id"])


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_that_stripe_wants_tried_again_is_not_final(hands: Hands, status: int) -> None:
    break_refunds(hands.sandbox, status=status, code="lock_timeout", should_retry=True)
    job = refund(hands)
    run(JOBS[REFUNDS.name], hands.runtime, job)
    assert hands.runtime.refund_jobs.read(job)["state"] == "retrying"
    hands.runtime.refund_jobs.work.wake(job)
    run(JOBS[REFUNDS.name], hands.runtime, job)
    assert "refund_id" in hands.runtime.refund_jobs.read(job)


@pytest.mark.parametrize(
    ("fault", "least_seconds"),
    [
        ({"status": 500, "should_retry": False}, 55),
        ({"status": 500, "should_retry": False, "retry_after": 2}, 1),
        ({"status": 429, "should_retry": False, "retry_after": 3}, 2),
    ],
)
def test_what_stripe_wants_left_alone_is_tried_much_later(
    hands: Hands, fault: dict[str, Any], least_seconds: int
) -> None:
    break_refunds(hands.sandbox, **fault)
    job = refund(hands)
    run(JOBS[REFUNDS.name], hands.runtime, job)
    fields = hands.runtime.refund_jobs.read(job)
    left = (int(fields["not_before"]) - hands.runtime.store.now_ms()) / 1000
    assert least_seconds < left < least_seconds + 6


@pytest.mark.usefixtures("unlimited")
def test_a_storm_of_refunds_keeps_to_the_limit_and_slows_no_payment(
    hands: Hands, sandbox: str
) -> None:
    payments = [hands.pay(amount=5000).get_json()["payment_intent_id"] for _ in range(5)]
    limit(sandbox, per_endpoint=25, per_account=100)
    alone = [timed_payment(hands) for _ in range(10)]
    jobs = []
    for number in range(60):
        body = {"payment_intent_id": payments[number % 5], "amount": 10}
        answer = hands.client.post("/api/refund/process", json=body)
        jobs.append(answer.get_json()["refund_request_id"])
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            hands.ring()
            time.sleep(0.01)

    beside = []
    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(work)
        give_up_at = time.monotonic() + 30
        while hands.runtime.refund_jobs.work.waiting() and time.monotonic() < give_up_at:
            sweep(hands.runtime.store, REFUNDS)
            beside.append(timed_payment(hands))
            time.sleep(0.1)
        over.set()
    assert all("refund_id" in hands.runtime.refund_jobs.read(job) for job in jobs)
    counts = requests.get(f"{sandbox}/_sandbox/rate_limits", timeout=5).json()
    # On a busy machine calls of several turns may arrive together. Without turns 45 are refused.
    assert sum(counts["refused"].values()) < 10
    # Payments share two cores with the refunds' work; waiting for a token would take 50 ms more
    # for each refund before it.
    assert statistics.median(beside) < 3 * statistics.median(alone) + 0.05


def timed_payment(hands: Hands) -> float:
    started = time.perf_counter()
    assert hands.pay().status_code == 200
    return time.perf_counter() - started
