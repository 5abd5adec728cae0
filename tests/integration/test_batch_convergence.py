"""Whatever dies between two steps of a batch, each payment is refunded once and counted exactly.

`CONVERGENCE_EXAMPLES=300 pytest tests/integration/test_batch_convergence.py` tries more plans,
other ones each time; the suite repeats the same few, and more of them by `bin/test --long`.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.errors import Unavailable
from shared.store.scripts import Call, Store
from shared.stripe.gateway import StripeGateway
from shared.work.batch import BatchRecord
from shared.work.kinds import KINDS, UPKEEP, Kind
from tests.depth import cases
from tests.integration import batching as b
from tests.integration.hands import Hands
from tests.integration.turmoil import Death
from worker.jobs import JOBS
from worker.relay import ensure_duties, sweep
from worker.run import run

Json = dict[str, Any]
EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", cases(1, 4)))
LOOK_LONGER = "CONVERGENCE_EXAMPLES" in os.environ
# Scripts before and after which a process may die, and whose answer may be lost, so that the client
# sends them again; and Stripe's refund, after which a worker may die.
SCRIPTS = (
    "batch_stage",
    "batch_record",
    "batch_begin",
    "batch_end",
    "batch_turn",
    "batch_again",
    "batch_add",
    "settle",
)
SEAMS = (
    "after refund",
    *(f"{when} {script}" for when in ("before", "after", "twice") for script in SCRIPTS),
)
MAX_ROUNDS = 80
PAUSES = ("never", "before", "between")


class Life:
    """One batch of six payments, whose processes die as planned."""

    _numbers = itertools.count()

    def __init__(self, hands: Hands, patch: pytest.MonkeyPatch) -> None:
        self.hands = hands
        self.mishaps: frozenset[tuple[str, int]] = frozenset()
        self.passed: Counter[str] = Counter()
        self.at_the_door = False
        self._install(patch)

    def _install(self, patch: pytest.MonkeyPatch) -> None:
        run_script, run_together = Store.run, Store.run_together
        make = StripeGateway.create_refund

        def dying(script: str, run: Callable[[], Any]) -> Any:
            self.reach(f"before {script}")
            answer = run()
            if self.planned(f"twice {script}"):
                answer = run()
            self.reach(f"after {script}")
            return answer

        def dying_run(store: Store, call: Call) -> Any:
            return dying(call.script, lambda: run_script(store, call))

        def dying_together(store: Store, calls: Sequence[Call]) -> Any:
            return dying(calls[0].script, lambda: run_together(store, calls)) if calls else []

        def dying_refund(gateway: StripeGateway, **parameters: Any) -> Json:
            refund = make(gateway, **parameters)
            self.reach("after refund")
            return refund

        patch.setattr(Store, "run", dying_run)
        patch.setattr(Store, "run_together", dying_together)
        patch.setattr(StripeGateway, "create_refund", dying_refund)
        patch.setattr("worker.refund_batches.MOST_BEGUN", 2)
        patch.setattr("shared.work.batches.STEPS", 1)
        patch.setattr("shared.work.batches.PIECE", 2)

    def planned(self, seam: str) -> bool:
        self.passed[seam] += 1
        return (seam, self.passed[seam] - 1) in self.mishaps

    def reach(self, seam: str) -> None:
        if self.planned(seam):
            if self.at_the_door:
                # The answer to a caller when a process died, or when Redis did not answer.
                raise Unavailable("The process ended.", code="died")
            raise Death(seam)

    def live(self, mishaps: frozenset[tuple[str, int]], pause: str) -> None:
        """Start a batch, let processes die as planned, and check the promises."""
        event = f"evening{next(self._numbers)}"
        self.mishaps = frozenset()
        self.hands.runtime.store.redis.flushall()
        good = b.pay(self.hands, 3, event)
        (by_hand,) = b.pay(self.hands, 1, event)
        (disputed,) = b.pay(self.hands, 1, event, payment_method="pm_card_createDispute")
        self.passed.clear()
        self.mishaps = mishaps
        batch = self._start(event)
        # Known to Stripe only; the service learns of it after it has planned the batch.
        refund(self.hands, by_hand)
        (late,) = b.pay(self.hands, 1, event) if not mishaps else self._late(event)
        refuse_one(self.hands)
        self._run(batch, pause)
        self._post(batch, "retry", ("retry", {"include": ["failed", "late"]}))
        self._run(batch, "never")

        ends = {"refunded": 4, "left_out": 2}
        record = self._look(batch)
        assert {name: count for name, count in record.counts.items() if count} == ends
        assert record.amounts["sgd"]["refunded"] == 4000
        for one in (*good, by_hand, late):
            assert b.refunded(self.hands, one) == [1000]
        assert b.refunded(self.hands, disputed) == []
        self._assert_told(batch, pause)

    def _late(self, event: str) -> list[str]:
        """Take a payment whose events arrive undisturbed, as the test is about the batch."""
        planned, self.mishaps = self.mishaps, frozenset()
        payments = b.pay(self.hands, 1, event)
        self.mishaps = planned
        return payments

    def _start(self, event: str) -> str:
        def ask() -> Any:
            return b.start(self.hands, key=event, event_id=event)

        return str(self._ask(ask)["batch_id"])

    def _post(self, batch: str, verb: str, request: tuple[str, Json | None]) -> Json:
        return self._ask(lambda: b.post(self.hands, batch, verb, request[1]), other_statuses=(409,))

    def _ask(self, ask: Callable[[], Any], other_statuses: tuple[int, ...] = ()) -> Json:
        """Repeat the request until it is answered, as a correct client does."""
        self.at_the_door = True
        try:
            while (answer := ask()).status_code == 503:
                pass
        finally:
            self.at_the_door = False
        assert answer.status_code in (200, 202, *other_statuses), answer.get_json()
        return dict(answer.get_json())

    def _run(self, batch: str, pause: str) -> None:
        """Run upkeep and the workers, which die and restart, until the batch changes no more."""
        progress = 0
        if pause == "before":
            self._post(batch, "pause", ("pause", None))
        for number in range(MAX_ROUNDS):
            if (pause, number) == ("between", 1):
                self._post(batch, "pause", ("pause", None))
            self._work()
            record = self._look(batch)
            assert record.done >= progress, "progress went backwards"
            progress = record.done
            if record.state == "paused":
                self._post(batch, "resume", ("resume", None))
            elif record.state == "completed" and not self._open():
                return
        raise AssertionError(f"there is no end: {self._look(batch).fields}")

    def _look(self, batch: str) -> BatchRecord:
        """Read the batch, and compare its counts with its members, one by one."""
        batches = self.hands.runtime.batches
        record = batches.read(batch)
        members = batches.members(batch, None, None, 100)
        walked = Counter(str(member.state) for member in members)
        assert {name: count for name, count in record.counts.items() if count} == walked
        sums: Counter[str] = Counter()
        for member in members:
            sums[member.state] += member.amount
        assert record.amounts.get("sgd", {}) == {s: a for s, a in sums.items() if a}
        for state in walked:
            listing = batches.members(batch, type(members[0].state)(state), None, 100)
            assert [one.state for one in listing] == [state] * walked[state]
        return record

    def _open(self) -> int:
        store = self.hands.runtime.store
        kinds = (kind for kind in KINDS.values() if kind is not UPKEEP)
        return sum(store.redis.zcard(store.keys.due(kind)) for kind in kinds)

    def _work(self) -> None:
        """Make all work due now, and do it."""
        store = self.hands.runtime.store
        try:
            ensure_duties(store)
        except Death:
            return
        for kind in KINDS.values():
            for item in store.redis.zrange(store.keys.due(kind), 0, -1):
                if kind is UPKEEP and item != "refund_batches":
                    continue
                store.redis.zadd(store.keys.due(kind), {item: 0})
                store.redis.hdel(store.keys.item(kind, item), "not_before")
            sweep(store, kind)
            self._ring(kind)

    def _ring(self, kind: Kind) -> None:
        store = self.hands.runtime.store
        while message := store.redis.rpop(store.keys.queue(kind)):
            (item,) = json.loads(json.loads(message)["body"])[0]
            if kind is UPKEEP and item != "refund_batches":
                continue
            try:
                run(JOBS[kind.name], self.hands.runtime, item)
            except Death:
                name = store.keys.item(kind, item)
                if store.redis.hget(name, "state") == "processing":
                    store.redis.hset(name, "lease_until", 0)

    def _assert_told(self, batch: str, pause: str) -> None:
        """Check the notifications: each once, in order, with the counts of its moment."""
        self.mishaps = frozenset()
        self.hands.work()
        bodies = {body["id"]: body for body in b.told_of(self.hands, batch)}
        types = [body["type"].rpartition(".")[2] for body in bodies.values()]
        paused = ["paused"] if pause != "never" and "paused" in types else []
        assert types == ["started", *paused, "completed", "completed"]
        assert [body["sequence"] for body in bodies.values()] == list(range(1, len(types) + 1))
        *_, last = bodies.values()
        assert last["data"]["counts"]["refunded"] == 4


def refund(hands: Hands, payment: str) -> None:
    """Refund a payment in Stripe's dashboard."""
    requests.post(
        f"{hands.sandbox}/v1/refunds",
        data={"payment_intent": payment},
        headers={"Authorization": "Bearer sk_test_tests_0123456789"},
        timeout=5,
    ).raise_for_status()


def refuse_one(hands: Hands) -> None:
    """Have Stripe refuse one refund for a reason of its own."""
    fault = {"kind": "error", "status": 400, "times": 1}
    match = {"method": "POST", "path_prefix": "/v1/refunds"}
    requests.post(
        f"{hands.sandbox}/_sandbox/faults", json=fault | {"match": match}, timeout=5
    ).raise_for_status()


@pytest.mark.deep
def test_every_death_between_two_steps_ends_in_the_same_batch(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(hands, monkeypatch)
    seams = st.sets(st.tuples(st.sampled_from(SEAMS), st.integers(0, 3)), max_size=8)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=not LOOK_LONGER,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(mishaps=seams.map(frozenset), pause=st.sampled_from(PAUSES))
    @example(mishaps=frozenset(), pause="never")
    @example(mishaps=frozenset((seam, 0) for seam in SEAMS), pause="between")
    @example(mishaps=frozenset((seam, 1) for seam in SEAMS), pause="before")
    def live_through(mishaps: frozenset[tuple[str, int]], pause: str) -> None:
        life.live(mishaps, pause)

    live_through()
    assert {f"before {script}" for script in SCRIPTS} <= set(life.passed)
