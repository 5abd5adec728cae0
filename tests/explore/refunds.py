"""Refund jobs with Stripe as an actor: one refund for each job, whatever Stripe answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from shared.refund_metadata import FIELD
from shared.work.kinds import EVENTS, REFUNDS
from shared.work.refund_jobs import RefundJobs, RefundRequest, stripe_key
from tests.explore.actors import PeerCall, Spec
from tests.explore.events import PAYMENT, raw_event
from tests.explore.invariants import demand
from tests.explore.search import Budget, Option, State
from tests.explore.service import Service, event_of
from tests.explore.stripe_actor import Gateway, Ledger, option, translated
from tests.explore.views import View

Json = dict[str, Any]
JOB = f"rr_{'0' * 32}"
REFUND = {"object": "refund", "amount": 300, "currency": "sgd", "payment_intent": PAYMENT}
DAY_MS = 24 * 3_600_000 + 1_000
REFUND_EVENT = raw_event(
    "evt_refund", "refund.created", id="re_1", charge=None, metadata={FIELD: JOB}
)
REFUND_EVENT["request"]["idempotency_key"] = stripe_key(JOB)
REFUND_EVENT["data"]["object"] |= {"status": "succeeded", "balance_transaction": None}


class Refunds(Service):
    """Make one refund of a payment."""

    name = "a refund job, and Stripe"
    kinds = (REFUNDS,)
    ages_ms = (0, 23 * 3_600_000, 24 * 3_600_000)
    budget = Budget(asks=1, faults=1, deaths=1, ticks=1, days=1)
    wide = Budget(asks=3, faults=3, deaths=2, ticks=4, days=2, redrives=1, breaks=1)

    def __init__(self) -> None:
        super().__init__()
        gateway = Gateway(self.stage)
        self.runtime.__dict__.update(gateway=gateway, refund_gateway=gateway)
        for call in ("create_refund", "refund", "events", "payment"):
            self.stage.translate[call] = translated
        self.stage.actors["ask"] = self._ask

    def _ask(self) -> str:
        jobs = RefundJobs(self.stage.store, self.settings)
        return jobs.record(JOB, RefundRequest(PAYMENT, amount=300))

    def world(self) -> tuple[Any, ...]:
        return (*super().world(), Ledger().frozen())

    def begins(self, state: State) -> Iterator[tuple[int, str, Spec, str]]:
        yield self.workers, "a caller asks", Spec("ask", (), ""), "asks"
        made_one = Ledger.of(state.world[1]).objects
        for start in super().begins(state):
            if start[2].name != "record" or made_one:
                yield start

    def redrivable(self, view: View) -> Iterator[str]:
        yield from view.dead(REFUNDS)

    def stripe(self, state: State, call: PeerCall) -> Iterator[Option]:
        ledger = Ledger.of(state.world[1])
        if call.name == "create_refund":
            [key] = json.loads(call.args)
            for words, after, cost in ledger.answers(key, state.now_ms, "re"):
                world = (state.world[0], after.frozen())
                yield option(words, {**REFUND, "id": words, "status": "succeeded"}, world, cost)
        if call.name == "refund":
            [name] = json.loads(call.args)
            yield option("shown", {**REFUND, "id": name, "status": "succeeded"}, state.world)
        if call.name == "events":
            yield option("listed", ledger.objects, state.world)
        if call.name == "payment":
            yield option("shown", PAID_INTENT, state.world)

    def moments(self, state: State) -> Iterator[tuple[int, str]]:
        yield from super().moments(state)
        yield state.now_ms + DAY_MS, "days"

    def check(self, state: State) -> None:
        super().check(state)
        view, ledger = self.view(state), Ledger.of(state.world[1])
        demand(len(ledger.objects) <= 1, 17, f"one job made the refunds {ledger.objects}")
        job = view.item(REFUNDS, JOB)
        if job.get("state") == "finished":
            refund_ids = [job[name] for name in ("refund_id",) if name in job]
            true = [name for name, _ in ledger.objects]
            demand(
                refund_ids == true,
                18,
                f"the job says {refund_ids or 'none was made'}, Stripe {true}",
            )

    def check_goal(self, view: View) -> None:
        job = view.item(REFUNDS, JOB)
        ended = job.get("state") in (None, "finished", "dead")
        demand(ended, 13, f"the job is {job.get('state')}")


PAID_INTENT = raw_event("evt_paid", "payment_intent.succeeded")["data"]["object"]


class RefundsHeard(Refunds):
    """Also process the refund's event, which may come before Stripe's answer."""

    name = "a refund job, Stripe, and the refund's event"
    kinds = (REFUNDS, EVENTS)
    budget = Budget(asks=1, faults=1, ticks=1, deaths=1)
    wide = Budget(asks=2, faults=2, ticks=3, deaths=1, breaks=1, days=1, repeats=1)

    def __init__(self) -> None:
        self.events = [event_of(REFUND_EVENT)]
        super().__init__()

    def body(self, event_id: str) -> str:
        return json.dumps(REFUND_EVENT)
