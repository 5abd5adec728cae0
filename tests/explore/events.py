"""Events and notifications: two facts of one payment, one of them reported by two events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import cached_property
from typing import Any, cast

from shared.facts import Fact, advance
from shared.stripe.gateway import StripeGateway
from shared.work.kinds import EVENTS
from tests.explore.actors import PeerCall
from tests.explore.invariants import demand
from tests.explore.search import Budget, Option, State
from tests.explore.service import NO_ANSWER, Service, event_of
from tests.explore.stripe_actor import Gateway, translated
from tests.explore.views import KEYS, View
from tests.fixtures.record import FOLDER
from worker.registry import HANDLERS
from worker.run import MAX_CRASHES

Json = dict[str, Any]
PAYMENT = "pi_1"


def raw_event(event_id: str, event_type: str, **changes: Any) -> Json:
    """Make an event of the payment from a fixture."""
    raw: Json = json.loads((FOLDER / f"{event_type}.json").read_text())
    raw |= {"id": event_id, "request": {"id": None, "idempotency_key": None}}
    about = raw["data"]["object"]
    about |= {"id": PAYMENT} if event_type.startswith("payment_intent") else {}
    about |= {"payment_intent": PAYMENT} if "payment_intent" in about else {}
    about |= changes
    return raw


SUCCESS_EVENT = raw_event("evt_paid", "payment_intent.succeeded")
# The same fact again, as from a second endpoint or in another API version.
PAID_TWIN = {**deepcopy(SUCCESS_EVENT), "id": "evt_twin"}
REVIEWED = raw_event("evt_review", "review.opened", charge=None)


class Events(Service):
    """Settle events of one payment, and deliver their notifications."""

    raw: tuple[Json, ...] = ()

    def __init__(self) -> None:
        self.events = [event_of(raw) for raw in self.raw]
        super().__init__()
        self._sums: dict[tuple[str, ...], str] = {}
        self._compared: dict[tuple[str, str], bool] = {}
        self.runtime.__dict__["gateway"] = Gateway(self.stage)
        self.stage.translate["payment"] = translated

    def body(self, event_id: str) -> str:
        return json.dumps(next(raw for raw in self.raw if raw["id"] == event_id))

    def stripe(self, state: State, call: PeerCall) -> Iterator[Option]:
        yield Option("shown", json.dumps(SUCCESS_EVENT["data"]["object"]), state.world)
        yield Option("no answer", json.dumps(NO_ANSWER), state.world, "faults")

    @cached_property
    def facts(self) -> dict[str, list[Fact]]:
        """Return the facts of each event."""
        gateway = cast(StripeGateway, self.runtime.gateway)
        outbox = {}
        for event in self.events:
            handler = HANDLERS.get(event.type)
            assert handler
            outbox[event.id] = handler(event, gateway)
        return outbox

    def check(self, state: State) -> None:
        super().check(state)
        view = self.view(state)
        settled = [
            one
            for one, item in sorted(view.items(EVENTS).items())
            if item.get("state") == "processed" or "redriven_at" in item
        ]
        payment = view.read(KEYS.payment(PAYMENT)) or {}
        state_text, settled_facts = payment.get("known", "{}"), self._facts_of(tuple(settled))
        same = self._compared.get((state_text, settled_facts))
        if same is None:
            same = json.loads(state_text).get("subjects", {}) == json.loads(settled_facts)
            self._compared[state_text, settled_facts] = same
        demand(same, 14, f"{PAYMENT} is known as {state_text}, its events say {settled_facts}")

    def _facts_of(self, events: tuple[str, ...]) -> str:
        """Return the state of the payment's subjects after these events, as JSON text."""
        if events not in self._sums:
            facts = [fact for one in events for fact in self.facts[one]]
            self._sums[events] = json.dumps(advance({}, facts).known["subjects"])
        return self._sums[events]

    def check_goal(self, view: View) -> None:
        items = view.items(EVENTS)
        settled = [one for one, item in items.items() if not _given_up(item)]
        staged = set(view.notifications)
        demand(self._ids(settled) <= staged <= self._ids(items), 6, f"staged: {sorted(staged)}")
        for one, item in view.notifications.items():
            settled_facts = one in view.state.world[0] or item["state"] == "dead"
            demand(settled_facts, 13, f"{one} is {item['state']} and was never told")
        ended = {item["state"] for item in items.values() if not _given_up(item)}
        demand(ended <= {"processed"}, 13, f"events ended as {ended}")

    def _ids(self, events: Iterable[str]) -> set[str]:
        """Return the ids of the notifications of events."""
        facts = [fact for one in events for fact in self.facts[one]]
        return {fact.notification_id for fact in facts if fact.type}


def _given_up(item: dict[str, str]) -> bool:
    """Say whether an event is a dead letter because too many workers died on it."""
    return item["state"] == "dead" and int(item["crashes"]) >= MAX_CRASHES


class TwoFacts(Events):
    name = "two facts of one payment"
    raw = (SUCCESS_EVENT, REVIEWED)
    budget = Budget(deaths=1, ticks=1, faults=1)
    wide = Budget(deaths=2, ticks=4, faults=2, breaks=1, repeats=1)


class OneFactTwice(Events):
    name = "one fact by two events"
    raw = (SUCCESS_EVENT, PAID_TWIN)
    budget = Budget(breaks=1, ticks=1)
    wide = Budget(deaths=1, breaks=2, ticks=3, repeats=1, sweeps=2)


class Redriven(Events):
    name = "an event and its notification, redriven"
    raw = (SUCCESS_EVENT,)
    budget = Budget(redrives=1, ticks=1, breaks=1)
    wide = Budget(redrives=2, ticks=3, breaks=2, faults=2, deaths=2, sweeps=1)


class GivenUp(Redriven):
    """Give up a notification that the event service refuses, and redrive it."""

    name = "a notification that is given up, and redriven"
    budget = Budget(redrives=1, ticks=1, faults=1)
    wide = Budget(redrives=2, ticks=2, faults=2, deaths=1)
