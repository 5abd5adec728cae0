"""The service of a setting: real workers, API functions, relay and redrive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from api.redrive import AuditNote, Redrive
from shared.stripe.event import Event, parse_event
from shared.work.inbox import Inbox
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS, Kind
from tests.conftest import make_settings
from tests.explore import invariants
from tests.explore.actors import PeerCall, Place, Spec, Stage
from tests.explore.invariants import claim_of
from tests.explore.search import IDLE, MOST_ROUNDS, Budget, Option, State, describe
from tests.explore.snapshots import Command, Effect, Snapshots, Violated, expire
from tests.explore.views import KEYS, OPEN, Names, View
from worker.event_service import Answer
from worker.jobs import JOBS
from worker.relay import sweep
from worker.run import run
from worker.runtime import Runtime

TOKENS = re.compile(r"any-\w")
LETTERS = "abcdefghijklmnop"
KIND_OF = {"evt": EVENTS, "rr": REFUNDS, "ntf": NOTIFICATIONS}
NO_ANSWER = {"error": "no answer"}
SUCCESS, ILL, SILENCE, NOT_FOUND = (
    {},
    {"failure": "status", "status": 503},
    {"failure": "no_answer_in_time"},
    {"failure": "status", "status": 410},
)


class EventService:
    """The event service, whose answers the search chooses."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def post(self, body: bytes, _: dict[str, str]) -> Answer:
        notification_body = json.loads(body)
        answer: Answer = self._stage.peer(
            "post", notification_body["id"], notification_body["sequence"]
        )
        return answer

    def close(self) -> None:
        pass


class Service:
    """The base of all settings: a runtime whose store and peers belong to the search."""

    name = ""
    kinds: Sequence[Kind] = (EVENTS, NOTIFICATIONS)
    slots: Sequence[str] = ("worker 1", "worker 2", "the door", "the relay", "a person")
    workers = 2
    budget = Budget()
    # The budget of a wide search.
    wide = Budget()
    ages_ms: Sequence[int] = (0,)
    horizon_ms = 2 * 3_600_000
    events: Sequence[Event] = ()

    def __init__(self) -> None:
        self.stage, self.snapshots = Stage(), Snapshots()
        self.names = Names(self.snapshots)
        self.settings = make_settings()
        self.runtime = Runtime(self.settings, self.stage.store)
        self.runtime.__dict__["event_service"] = EventService(self.stage)
        self._trail: list[str] = []
        self._sent_twice: set[int] = set()
        self._tokens: dict[int, frozenset[str]] = {}
        self._by_id = {event.id: event for event in self.events}
        self.stage.actors |= {
            "work": self._work,
            "sweep": self._sweep,
            "record": self._record,
            "redrive": self._redrive,
        }
        self.stage.translate["post"] = lambda tokens: Answer(**tokens)

    def _work(self, kind: str, item_id: str) -> Any:
        return run(JOBS[kind], self.runtime, item_id)

    def _sweep(self, kind: str) -> Any:
        return sweep(self.stage.store, KINDS[kind])

    def _record(self, event_id: str) -> Any:
        inbox = Inbox(self.stage.store, self.settings)
        return inbox.record(self._by_id[event_id], self.body(event_id), source="webhook")

    def _redrive(self, item_id: str) -> Any:
        redrive = Redrive(self.stage.store, self.settings, self.runtime.gateway)
        return redrive.one(item_id, AuditNote("key"))

    def patched(self) -> AbstractContextManager[object]:
        """Patch values that a search cannot reach otherwise, such as a high threshold."""
        return nullcontext()

    def body(self, event_id: str) -> str:
        """Return an event as Stripe sends it."""
        raise NotImplementedError

    def world(self) -> tuple[Any, ...]:
        """List the accepted ids in the order of their first acceptance."""
        return ((),)

    def prepare(self, state: State) -> State:
        return state

    def view(self, state: State) -> View:
        return View(self.names, state)

    def begins(self, state: State) -> Iterator[tuple[int, str, Spec, str]]:
        view = self.view(state)
        idle = [slot for slot in range(self.workers) if state.actors[slot] == IDLE]
        for kind in self.kinds if idle else ():
            for one in view.items(kind):
                yield idle[0], "begins", Spec("work", (kind.name, one), self.token(state)), ""
        outside = self.workers
        for event in self.events:
            record = view.item(EVENTS, event.id)
            spec = Spec("record", (event.id,), "")
            yield outside, "Stripe sends", spec, "repeats" if record else ""
        for kind in self.kinds:
            if any(at <= state.now_ms for at in view.due(kind).values()):
                yield outside + 1, "begins", Spec("sweep", (kind.name,), ""), "sweeps"
        if state.actors[outside + 2] == IDLE:
            for one in self.redrivable(view):
                spec = Spec("redrive", (one,), self.token(state))
                yield outside + 2, "redrives", spec, "redrives"

    def redrivable(self, view: View) -> Iterator[str]:
        for kind in self.kinds:
            yield from view.items(kind)

    def token(self, state: State) -> str:
        """Choose a token that is not in use."""
        used: set[str] = set()
        for number in state.snapshot:
            if number not in self._tokens:
                tokens = TOKENS.findall(repr(self.snapshots.values[number]))
                self._tokens[number] = frozenset(tokens)
            used |= self._tokens[number]
        used |= {at.spec.token for p in state.actors if (at := self.stage.places[p])}
        return next(f"any-{letter}" for letter in LETTERS if f"any-{letter}" not in used)

    def options(self, state: State, place: Place) -> Iterator[Option]:
        """List the answers of the peer; after the attempt's deadline nothing is sent."""
        call = place.call
        assert isinstance(call, PeerCall)
        if self.is_late(state, place):
            answer = SILENCE if call.name == "post" else NO_ANSWER
            yield Option("not sent: its deadline has passed", json.dumps(answer), state.world)
        elif call.name == "post":
            yield from self._post(state, *json.loads(call.args))
        else:
            yield from self.stripe(state, call)

    def is_late(self, state: State, place: Place) -> bool:
        """Say whether an attempt has passed its deadline."""
        start = int(claim_of(place)["claimed_at"])
        longest = KINDS[place.spec.args[0]].longest_seconds(self.settings)
        return state.now_ms - start > longest * 1000

    def stripe(self, state: State, call: PeerCall) -> Iterator[Option]:
        """List the possible answers of Stripe."""
        raise NotImplementedError

    def _post(self, state: State, notification: str, sequence: int) -> Iterator[Option]:
        received_ids = state.world[0]
        ids_after = received_ids if notification in received_ids else (*received_ids, notification)
        view, rest = self.view(state), state.world[1:]
        payment_id = view.item(NOTIFICATIONS, notification).get("payment_id")
        for one, item in view.notifications.items():
            if item.get("payment_id") == payment_id and int(item["sequence"]) < sequence:
                ended = item["state"] not in OPEN or one in received_ids or "redriven_at" in item
                invariants.demand(
                    ended, 11, f"{notification} is sent before {one}, which is earlier"
                )
        yield Option("taken", json.dumps(SUCCESS), (ids_after, *rest))
        yield Option("ill", json.dumps(ILL), state.world, "faults")
        yield Option("taken, no answer", json.dumps(SILENCE), (ids_after, *rest), "faults")
        yield Option("gone", json.dumps(NOT_FOUND), state.world, "faults")

    def ended(self, state: State, place: Place) -> tuple[Any, ...]:
        return state.world

    def moments(self, state: State) -> Iterator[tuple[int, str]]:
        """List the next moment at which a lease or a pause ends.

        Due times are left out: they decide only when the relay rings, and here a worker may try any
        item at any time.
        """
        view, now = self.view(state), state.now_ms
        ahead: list[float] = []
        for kind in self.kinds:
            for item in view.items(kind).values():
                ahead += [float(item[f]) for f in ("lease_until", "not_before") if f in item]
        for name in (KEYS.breaker(), KEYS.probe()):
            ahead += [float(view.ends_at_ms(name) or 0) + 1]
        if soon := [at for at in ahead if at > now]:
            yield int(min(soon)), "ticks"

    def check(self, state: State) -> None:
        view = self.view(state)
        invariants.check_items(view)
        invariants.check_outboxes(view)
        for one, item in view.notifications.items():
            is_taken = item.get("state") != "delivered" or one in state.world[0]
            invariants.demand(is_taken, 12, f"{one} is marked as delivered and was never taken")

    def check_step(self, before: State, place: Place, effect: Effect, after: State) -> None:
        invariants.check_marks(self.view(before), self.view(after), place, effect)
        # An effect is one run of a command on the same keys, so it needs one check only.
        if id(effect) not in self._sent_twice:
            invariants.check_sent_twice(self.snapshots, before, place, effect)
            self._sent_twice.add(id(effect))

    def drained(self, state: State) -> State:
        """End all actors, drop all doorbells, and let the relay and one worker continue."""
        state = replace(state, actors=(IDLE,) * len(state.actors))
        self._trail = ["from here everybody dies, all doorbells are lost, and then all goes well"]
        try:
            return self._drained(state)
        except Violated as broken:
            broken.labels = self._trail
            raise

    def _drained(self, state: State) -> State:
        for _ in range(MOST_ROUNDS):
            state, worked = self._round(state)
            ahead = self.awaited(self.view(state))
            if not worked and not ahead:
                self._check_end(state)
                return state
            if not worked:
                state = self._later(state, int(min(ahead)))
        raise Violated("invariant 13: work goes on and on")

    def awaited(self, view: View) -> list[float]:
        """List the moments at which work is due, in milliseconds."""
        return [at for kind in self.kinds for at in view.due(kind).values()]

    def _later(self, state: State, at: int) -> State:
        now = max(state.now_ms, at)
        self._trail.append(f"{now - state.now_ms} ms pass")
        return replace(state, now_ms=now, snapshot=expire(self.snapshots, state.snapshot, now))

    def _round(self, state: State) -> tuple[State, bool]:
        bells: list[str] = []
        for kind in self.kinds:
            state, more = self.complete(state, Spec("sweep", (kind.name,), ""))
            bells += more
        for one in bells:
            kind = KIND_OF[one.partition("_")[0]]
            state, more = self.complete(state, Spec("work", (kind.name, one), self.token(state)))
            bells += more
        return state, bool(bells)

    def complete(self, state: State, spec: Spec) -> tuple[State, list[str]]:
        """Run an actor to its end alone, with good answers; return the items for which it rang."""
        number, bells = self.stage.begin(spec), []
        while True:
            place = self.stage.places[number]
            assert place is not None
            if place.call is None:
                return replace(state, world=self.ended(state, place)), bells
            if isinstance(place.call, Command):
                effect = self.snapshots.run(state.snapshot, state.now_ms, place.call)
                self._trail.append(describe(place.call, effect.answer))
                bells += effect.bells
                state = replace(state, snapshot=self.snapshots.written(state.snapshot, effect))
                number = self.stage.go_on(number, effect.answer)
            else:
                option = next(self.options(state, place))
                self._trail.append(f"{place.call.name} {place.call.args}: {option.label}")
                state = replace(state, world=option.world)
                number = self.stage.go_on(number, option.answer)

    def _check_end(self, state: State) -> None:
        view = self.view(state)
        for kind in self.kinds:
            for one, item in view.items(kind).items():
                words = f"nothing is due, and {one} is {item.get('state')}"
                invariants.demand(item.get("state") not in OPEN, 13, words)
        self.check(state)
        self.check_goal(view)

    def check_goal(self, view: View) -> None:
        """Check the state in which no work is left."""


def event_of(raw: dict[str, Any]) -> Event:
    return parse_event(json.dumps(raw))
