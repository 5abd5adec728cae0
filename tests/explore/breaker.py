"""The breaker: notifications of several payments during an outage of the event service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from unittest.mock import patch

from shared.work.kinds import EVENTS, NOTIFICATIONS
from tests.explore.actors import Place, Spec
from tests.explore.events import raw_event
from tests.explore.invariants import demand
from tests.explore.search import Budget, State
from tests.explore.service import Service, event_of
from tests.explore.snapshots import Command, Effect
from tests.explore.views import KEYS

# Payments whose notifications wait; in this search the same number of failures opens the breaker.
PAYMENTS = ("pi_1", "pi_2")
THRESHOLD = 2
RAW = [raw_event(f"evt_{one}", "payment_intent.succeeded", id=one) for one in PAYMENTS]


class Breaker(Service):
    """Deliver one notification of each payment."""

    name = "the breaker and its probes"
    kinds = (NOTIFICATIONS,)
    budget = Budget(faults=3, ticks=1)
    wide = Budget(faults=4, ticks=4, deaths=1)

    def __init__(self) -> None:
        self.events = [event_of(raw) for raw in RAW]
        super().__init__()

    def patched(self) -> AbstractContextManager[object]:
        return patch("shared.work.breaker.THRESHOLD", THRESHOLD)

    def body(self, event_id: str) -> str:
        return json.dumps(next(raw for raw in RAW if raw["id"] == event_id))

    def prepare(self, state: State) -> State:
        """Settle the events first, so that their notifications wait when the search begins."""
        for event in self.events:
            state, _ = self.complete(state, Spec("record", (event.id,), ""))
            spec = Spec("work", (EVENTS.name, event.id), self.token(state))
            state, _ = self.complete(state, spec)
        return state

    def begins(self, state: State) -> Iterator[tuple[int, str, Spec, str]]:
        return (start for start in super().begins(state) if start[2].name != "record")

    def check_step(self, before: State, place: Place, effect: Effect, after: State) -> None:
        super().check_step(before, place, effect, after)
        call, view = place.call, self.view(before)
        if not isinstance(call, Command):
            return
        if call.name == "claim" and effect.answer != "null" and view.number(KEYS.breaker()):
            asked_again = (view.read(call.keys[0]) or {}).get("token") == place.spec.token
            probes = not view.number(KEYS.probe()) and self.view(after).number(KEYS.probe())
            demand(asked_again or probes, 21, f"{call.keys[0]} goes, and is no probe")
        delivered = call.name == "release" and effect.writes and '"delivered"' in str(call.args)
        closed = not self.view(after).number(KEYS.breaker())
        demand(not delivered or closed, 23, "a delivery left the breaker open")
