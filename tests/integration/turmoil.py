"""Process a payment's events with the failures of a plan, and return the outcome."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st

from shared.errors import Unavailable
from shared.keys import Keys
from shared.payment_summary import amount_refunded, context, disputed
from shared.store.pipe import Pipe, Receiver
from shared.store.scripts import Call, Store
from shared.stripe.gateway import StripeGateway
from shared.work.items import Claim
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, Kind
from shared.work.outbox import body
from tests.integration.hands import Hands
from worker.event_service import Answer
from worker.jobs import JOBS
from worker.relay import sweep
from worker.run import run

Json = dict[str, Any]
# Points at which a process may die: before a script runs, after it ran and before its answer
# arrives, or between a read at Stripe and its use. And points at which an answer of Redis may be
# lost, so that the client sends the script twice.
SEAMS = (
    "after record",
    "after claim",
    "after look-up",
    "before settle",
    "after settle",
    "before release",
    "after release",
    "twice record",
    "twice claim",
    "twice settle",
    "twice release",
)
# Rounds of work after which everything must have ended, deaths included.
MAX_ROUNDS = 60
# Seconds: longer than any example takes, so that a refund always waits for its payment.
PATIENCE_SECONDS = 300.0


class Death(BaseException):
    """The death of a process: nothing in the process may handle it."""


@dataclass(frozen=True)
class Plan:
    """What happens to the events of a life, by their places in it."""

    deliveries: Sequence[int]
    works: Sequence[str] = ()
    mishaps: frozenset[tuple[str, int]] = frozenset()
    one_second: bool = False
    seen_late: bool = False
    backwards: bool = False
    patient: bool = False


@st.composite
def plans(draw: st.DrawFn, count: int) -> Plan:
    """Draw an order, repeats, delays, lost doorbells and deaths."""
    deliveries = list(draw(st.permutations(range(count))))
    place = st.tuples(st.integers(0, count - 1), st.integers(0, count))
    for event, position in draw(st.lists(place, max_size=3)):
        deliveries.insert(position, event)
    work = st.sampled_from(("wait", "work", "work", "lose the doorbells"))
    size = len(deliveries)
    return Plan(
        deliveries=deliveries,
        works=draw(st.lists(work, min_size=size, max_size=size)),
        mishaps=frozenset(
            draw(st.sets(st.tuples(st.sampled_from(SEAMS), st.integers(0, 5)), max_size=5))
        ),
        one_second=draw(st.booleans()),
        seen_late=draw(st.booleans()),
        backwards=draw(st.booleans()),
        patient=draw(st.booleans()),
    )


@dataclass(frozen=True)
class Outcome:
    """The final state of the payment, and the notifications in order."""

    state: Json
    notifications: list[Json]


@dataclass
class Turmoil:
    """One service on one Redis, whose processes die at the points of a plan."""

    hands: Hands
    events: list[Json]
    history: list[Json]
    patch: pytest.MonkeyPatch
    plan: Plan = field(default_factory=lambda: Plan(()))
    passed: Counter[str] = field(default_factory=Counter)
    notifications: list[str] = field(default_factory=list)
    now: int = 0

    def install(self) -> None:
        """Install the points of failure: scripts, Stripe's answers, deliveries."""
        run_script = Store.run

        def dying_run(store: Store, call: Call) -> Any:
            self.reach(f"before {call.script}")
            answer = run_script(store, call)
            if self.planned(f"twice {call.script}"):
                answer = run_script(store, call)
            self.reach(f"after {call.script}")
            return answer

        self._install_at_the_door()

        def hear(_: object, claim: Claim) -> Answer:
            self.notifications.append(body(claim))
            return Answer(status=200)

        self.patch.setattr(Store, "run", dying_run)
        self.patch.setattr("worker.delivery.post", hear)
        self.patch.setattr(StripeGateway, "refunds_of", lambda _, __=None, **by: self.refunds(**by))
        self.patch.setattr(StripeGateway, "payment", lambda _, of, __=None: self.intent(of))
        look = StripeGateway.balance_transaction

        def booked(stripe: StripeGateway, name: str, account: str | None = None) -> Json:
            object_read = look(stripe, name, account)
            self.reach("after look-up")
            return object_read

        self.patch.setattr(StripeGateway, "balance_transaction", booked)

    def _install_at_the_door(self) -> None:
        send = Pipe.send

        def dying_send(pipe: Pipe, call: Call, receiver: Receiver) -> None:
            def answer(result: Any) -> None:
                if self.planned(f"after {call.script}"):
                    # The API died: Stripe gets no valid answer.
                    result = Unavailable("The process ended.", code="died")
                receiver(result)

            def answer_or_repeat(result: Any) -> None:
                if self.planned(f"twice {call.script}"):
                    send(pipe, call, answer)
                else:
                    answer(result)

            send(pipe, call, answer_or_repeat)

        self.patch.setattr(Pipe, "send", dying_send)

    def planned(self, seam: str) -> bool:
        """Pass a point; say whether something is planned there this time."""
        self.passed[seam] += 1
        return (seam, self.passed[seam] - 1) in self.plan.mishaps

    def reach(self, seam: str) -> None:
        """Pass a point, or die there if the plan says so."""
        if self.planned(seam):
            raise Death(seam)

    def refunds(self, charge: str) -> list[Json]:
        """List the charge's refunds as they were when Stripe was asked, newest first."""
        object_read = [o for o in self.objects("refund").values() if o["charge"] == charge]
        self.reach("after look-up")
        return list(reversed(object_read))

    def intent(self, payment_id: str) -> Json:
        """Return the payment intent as it was when Stripe was asked."""
        object_read = self.objects("payment_intent")[payment_id]
        self.reach("after look-up")
        return object_read

    def objects(self, kind: str) -> dict[str, Json]:
        """Return the objects of a kind as of now: no object may be ahead of the events."""
        object_read: dict[str, Json] = {}
        for event in self.history:
            if event["data"]["object"]["object"] == kind and event["created"] <= self.now:
                object_read[event["data"]["object"]["id"]] = event["data"]["object"]
        return object_read

    def live(self, plan: Plan) -> Outcome:
        """Play the life as planned, on an empty Redis, until no work is left."""
        self.hands.runtime.store.redis.flushall()
        self.plan, self.notifications, self.now = plan, [], 0
        self.passed.clear()
        patience = PATIENCE_SECONDS if plan.patient else 0.0
        self.patch.setattr("worker.events.PAYMENT_PATIENCE_SECONDS", patience)
        works = [*plan.works, *["work"] * len(plan.deliveries)]
        for place, work in zip(plan.deliveries, works, strict=False):
            self._deliver(self.events[place])
            if work == "work":
                self._ring(KINDS)
            elif work == "lose the doorbells":
                store = self.hands.runtime.store
                store.redis.delete(*map(store.keys.queue, KINDS.values()))
        self._finish()
        return Outcome(self._state(), [json.loads(text) for text in self.notifications])

    def _deliver(self, event: Json) -> None:
        """Deliver an event until it is answered, as Stripe does."""
        latest = self.history[-1]["created"] if self.plan.seen_late else event["created"]
        self.now = max(self.now, latest)
        delivered_event = (
            event | {"created": self.events[0]["created"]} if self.plan.one_second else event
        )
        while (answer := self.hands.post_event(delivered_event)).status_code != 200:
            # On a busy machine Redis may answer too late; Stripe delivers again in this case, too.
            assert answer.get_json()["code"] in ("died", "store_unavailable")

    def _ring(self, names: Sequence[str] | dict[str, Kind]) -> None:
        """Answer the doorbells in the queues, in either order."""
        redis = self.hands.runtime.store.redis
        take: Callable[[str], Any] = redis.lpop if self.plan.backwards else redis.rpop
        for name in names:
            while message := take(Keys().queue(KINDS[name])):
                (item_id,) = json.loads(json.loads(message)["body"])[0]
                try:
                    run(JOBS[name], self.hands.runtime, item_id)
                except Death:
                    self._lapse(KINDS[name], item_id)

    def _lapse(self, kind: Kind, item_id: str) -> None:
        """End the lease of a dead worker without waiting."""
        redis = self.hands.runtime.store.redis
        if redis.hget(Keys().item(kind, item_id), "state") == "processing":
            redis.hset(Keys().item(kind, item_id), "lease_until", 0)

    def _finish(self) -> None:
        """Let time pass until nothing is due."""
        redis = self.hands.runtime.store.redis
        for _ in range(MAX_ROUNDS):
            for kind in (EVENTS, NOTIFICATIONS):
                for item_id in redis.zrange(Keys().due(kind), 0, -1):
                    redis.zadd(Keys().due(kind), {item_id: 0})
                    redis.hdel(Keys().item(kind, item_id), "not_before")
                sweep(self.hands.runtime.store, kind)
            self._ring(KINDS)
            if not redis.zcard(Keys().due(EVENTS)) and not redis.zcard(Keys().due(NOTIFICATIONS)):
                return
        raise AssertionError("there was no end of work")

    def _state(self) -> Json:
        payments = self.hands.runtime.payments
        ids = {payment_of_key(name) for name in self.hands.runtime.store.redis.keys("*:payment:*")}
        records = {object_read: payments.read(object_read).known for object_read in sorted(ids)}
        return {
            payment_id: {
                "subjects": record["subjects"],
                "whose": context(record),
                "refunded": amount_refunded(record),
                "disputed": disputed(record),
            }
            for payment_id, record in records.items()
            if record
        }


def payment_of_key(name: str) -> str:
    return name.split(":")[2]
