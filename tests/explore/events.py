"""Events and notifications: two facts of one payment, one of them told by two events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cached_property
from typing import Any, cast

from shared.facts import Fact, advance
from shared.stripe.gateway import StripeGateway
from shared.work.kinds import EVENTS
from tests.explore.actors import PeerCall, Stage
from tests.explore.invariants import demand
from tests.explore.search import Budget, Option, State
from tests.explore.service import Service, event_of
from tests.explore.views import KEYS, View
from tests.fixtures.record import FOLDER
from worker.registry import handler_of

Json = dict[str, Any]
PAYMENT = "pi_1"


def made(event_id: str, event_type: str, **changes: Any) -> Json:
    """Make an event of the one payment from a fixture."""
    raw: Json = json.loads((FOLDER / f"{event_type}.json").read_text())
    raw |= {"id": event_id, "request": {"id": None, "idempotency_key": None}}
    about = raw["data"]["object"]
    about |= {"id": PAYMENT} if event_type.startswith("payment_intent") else {}
    about |= {"payment_intent": PAYMENT} if "payment_intent" in about else {}
    about |= changes
    return raw


PAID = made("evt_paid", "payment_intent.succeeded")
# What a second endpoint, or a twin of another API version, would bring: the same fact again.
PAID_TWIN = {**deepcopy(PAID), "id": "evt_twin"}
REVIEWED = made("evt_review", "review.opened", charge=None)


class Gateway:
    """Stripe, for what workers look up: it shows the payment, or is ill."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def payment(self, intent_id: str, _: str | None = None) -> Json:
        found: Json = self._stage.peer("look_up", intent_id)
        return found


class Events(Service):
    """Settle events of one payment, and deliver what they mean."""

    raw: tuple[Json, ...] = ()

    def __init__(self) -> None:
        self.events = [event_of(raw) for raw in self.raw]
        super().__init__()
        self.runtime.__dict__["gateway"] = Gateway(self.stage)
        self.stage.translate["look_up"] = lambda found: found

    def body(self, event_id: str) -> str:
        return json.dumps(next(raw for raw in self.raw if raw["id"] == event_id))

    def options(self, state: State, call: PeerCall) -> Iterator[Option]:
        yield from super().options(state, call)
        if call.name == "look_up":
            yield Option("shown", json.dumps(PAID["data"]["object"]), state.world)

    @cached_property
    def facts(self) -> dict[str, list[Fact]]:
        """Give the facts of each event."""
        gateway = cast(StripeGateway, self.runtime.gateway)
        found = {}
        for event in self.events:
            handler = handler_of(event.type)
            assert handler
            found[event.id] = handler(event, gateway)
        return found

    def check(self, state: State) -> None:
        super().check(state)
        view = self.view(state)
        settled = [
            fact
            for one, item in view.items(EVENTS).items()
            if item.get("state") == "processed" or "redriven_at" in item
            for fact in self.facts[one]
        ]
        payment = view.read(KEYS.payment(PAYMENT)) or {}
        known = json.loads(payment.get("known", "{}")).get("subjects", {})
        told = json.loads(json.dumps(advance({}, settled).known["subjects"]))
        demand(known == told, 14, f"{PAYMENT} is known as {[*known]}, its events say {[*told]}")

    def check_goal(self, view: View) -> None:
        expected = {
            fact.notification_id
            for one in view.items(EVENTS)
            for fact in self.facts[one]
            if fact.type
        }
        demand(set(view.notifications) == expected, 6, f"staged: {sorted(view.notifications)}")
        for one, item in view.notifications.items():
            told = one in view.state.world[0] or item["state"] == "dead"
            demand(told, 13, f"{one} is {item['state']} and was never told")
        ended = {item["state"] for item in view.items(EVENTS).values()}
        demand(ended <= {"processed"}, 13, f"events ended as {ended}")


class TwoFacts(Events):
    name = "two facts of one payment"
    raw = (PAID, REVIEWED)
    budget = Budget(deaths=1, ticks=1, faults=1)
    wide = Budget(deaths=2, ticks=4, faults=2, breaks=1, repeats=1)


class OneFactTwice(Events):
    name = "one fact by two events"
    raw = (PAID, PAID_TWIN)
    budget = Budget(breaks=1, ticks=1)
    wide = Budget(deaths=1, breaks=2, ticks=3, repeats=1, sweeps=2)


class Redriven(Events):
    name = "an event and its notification, redriven"
    raw = (PAID,)
    budget = Budget(redrives=1, ticks=1, breaks=1, faults=1)
    wide = Budget(redrives=2, ticks=3, breaks=2, faults=2, deaths=2, sweeps=1)
