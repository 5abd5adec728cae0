"""The search: every order of every step, breadth first, each state once.

States that differ only in how long ago something happened, or in the name of a token, count as
one. This may omit an order, but cannot invent one, because each state is reached by execution.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Any, Protocol

from shared.work.items import GUARD_MS
from tests.explore.actors import BROKEN, UNANSWERED, PeerCall, Place, Spec, Stage
from tests.explore.snapshots import (
    BEGINNING_MS,
    NOTHING,
    Command,
    Effect,
    Snapshots,
    Violated,
    expire,
)

MOMENT = re.compile(r"\b17\d{11}(?:\.0)?\b")
TOKEN = re.compile(r"any-\w+")
IDLE = 0
# Rounds of relay and work after which remaining work counts as endless.
MOST_ROUNDS = 200


@dataclass(frozen=True)
class State:
    """A state: the time, the store, the places of the actors, the world outside, the budget."""

    now_ms: int
    snapshot: tuple[int, ...]
    actors: tuple[int, ...]
    world: tuple[Any, ...]
    left: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One step: its description, and the state after it."""

    label: str
    state: State


@dataclass(frozen=True)
class Budget:
    """How often each kind of failure may happen on one path."""

    deaths: int = 0
    # Calls to Redis whose connection breaks, or that get no answer in time.
    breaks: int = 0
    ticks: int = 0
    sweeps: int = 0
    # Failures of the event service or of Stripe.
    faults: int = 0
    repeats: int = 0
    redrives: int = 0
    # Requests of callers, and days that pass at once.
    asks: int = 0
    days: int = 0


@dataclass(frozen=True)
class Option:
    """A possible answer of a peer: its description, its JSON text, and the world after it."""

    label: str
    answer: str
    world: tuple[Any, ...]
    cost: str = ""


class Setting(Protocol):
    """A configuration: the actors, their items, the budget of failures, the invariants."""

    name: str
    stage: Stage
    snapshots: Snapshots
    slots: Sequence[str]
    budget: Budget
    ages_ms: Sequence[int]
    horizon_ms: int

    def world(self) -> tuple[Any, ...]:
        """Return the world at the beginning."""

    def prepare(self, state: State) -> State:
        """Return the state at the beginning."""

    def begins(self, state: State) -> Iterator[tuple[int, str, Spec, str]]:
        """List what idle slots may begin: slot, description, actor, and cost."""

    def options(self, state: State, place: Place) -> Iterator[Option]:
        """List the possible answers of a peer to an actor's call, the good one first."""

    def ended(self, state: State, place: Place) -> tuple[Any, ...]:
        """Return the world after an actor has ended."""

    def moments(self, state: State) -> Iterator[tuple[int, str]]:
        """List the moments, in milliseconds, to which time may move, and the cost of each."""

    def check(self, state: State) -> None:
        """Raise `Violated` for a state that is not allowed."""

    def check_step(self, before: State, place: Place, effect: Effect, after: State) -> None:
        """Raise `Violated` for a step that is not allowed."""

    def drained(self, state: State) -> State:
        """End all actors, then let everything succeed; return the state without open work.

        Raises `Violated` when there is no such state, or when it is wrong.
        """


@dataclass
class Report:
    """The result of a search."""

    name: str
    states: int = 0
    transitions: int = 0
    exhausted: bool = False
    depth: int = 0
    seconds: float = 0.0
    violation: str = ""
    path: list[str] = field(default_factory=list)


class Search:
    """The search of one setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._names = [one.name for one in fields(Budget)]
        self._canon: dict[tuple[int, int], int] = {}
        self._texts: dict[str, int] = {repr(None): NOTHING}
        self._places: dict[tuple[int, int], int] = {}
        self._states: dict[tuple[Any, ...], None] = {}
        self._ends: set[tuple[Any, ...]] = set()
        self._parents: list[tuple[int, str]] = []

    def run(self, cpu_seconds: float) -> Report:
        """Search until all states are visited, a bound is reached, or an invariant is broken."""
        report = Report(self.setting.name)
        start = time.process_time()
        try:
            self._search(report, start + cpu_seconds)
        finally:
            report.seconds = time.process_time() - start
        return report

    def _search(self, report: Report, until: float) -> None:
        first = self._beginning()
        waiting: deque[tuple[int, int, State]] = deque()
        if not self._add(waiting, report, (-1, 0), Step("the beginning", first)):
            return
        while waiting:
            if time.process_time() > until or not self._expand(waiting, report):
                return
        report.exhausted = True

    def _expand(self, waiting: deque[tuple[int, int, State]], report: Report) -> bool:
        """Take every step from the next state; return False when one breaks an invariant."""
        number, report.depth, state = waiting.popleft()
        try:
            for step in self._steps(state):
                report.transitions += 1
                if not self._add(waiting, report, (number, report.depth + 1), step):
                    return False
        except Violated as broken:
            self._violated(report, number, broken)
            return False
        return True

    def _beginning(self) -> State:
        setting = self.setting
        slots = (IDLE,) * len(setting.slots)
        budget = astuple(setting.budget)
        return setting.prepare(State(BEGINNING_MS, (), slots, setting.world(), budget))

    def _add(
        self,
        waiting: deque[tuple[int, int, State]],
        report: Report,
        at: tuple[int, int],
        step: Step,
    ) -> bool:
        """Store a new state and check it; return False when it breaks an invariant."""
        key = self._key(step.state)
        if key in self._states:
            return True
        self._states[key] = None
        parent, depth = at
        self._parents.append((parent, step.label))
        report.states += 1
        number = report.states - 1
        try:
            self.setting.check(step.state)
            self._check_end(step.state)
        except Violated as broken:
            self._violated(report, number, broken)
            return False
        waiting.append((number, depth, step.state))
        return True

    def _violated(self, report: Report, number: int, broken: Violated) -> None:
        report.violation = str(broken)
        path = []
        while number >= 0:
            number, label = self._parents[number]
            path.append(label)
        report.path = [*reversed(path), *broken.labels]

    def _check_end(self, state: State) -> None:
        """Check that all work ends from here, unless that is known for this store."""
        alone = replace(state, actors=(IDLE,) * len(state.actors), left=())
        key = self._key(alone)
        if key not in self._ends:
            self.setting.drained(state)
            self._ends.add(key)

    def _key(self, state: State) -> tuple[Any, ...]:
        now, canon = state.now_ms, self._canon
        store = []
        for number in state.snapshot:
            known_state = canon.get((number, now))
            if known_state is None:
                known_state = canon[number, now] = self._canonical(self._text_of(number, now), now)
            store.append(known_state)
        while store and store[-1] == NOTHING:
            store.pop()
        actors = sorted(self._place(place, now) for place in state.actors)
        world = self._canonical(repr(state.world), now)
        return (tuple(store), tuple(actors), world, state.left)

    def _text_of(self, number: int, now: int) -> str:
        """Render a value; for times in the near future the order does not matter."""
        value = self.setting.snapshots.values[number]
        if value and value[0] == "zset":
            soon = tuple(
                (one, min(at, now) if at <= now + GUARD_MS else at) for one, at in value[1]
            )
            return repr(soon)
        return repr(value)

    def _place(self, place: int, now: int) -> int:
        known_state = self._places.get((place, now))
        if known_state is None:
            at = self.setting.stage.places[place]
            text = repr(at and (at.spec, at.answers))
            known_state = self._places[place, now] = self._canonical(text, now)
        return known_state

    def _canonical(self, text: str, now: int) -> int:
        """Reduce each time in a text to what matters of it now; return the number of the text."""

        def matters(known_state: re.Match[str]) -> str:
            ahead = int(float(known_state[0])) - now
            if ahead > self.setting.horizon_ms:
                return "far"
            if ahead > 0:
                return f"+{ahead}"
            return f"-{sum(-ahead >= age for age in self.setting.ages_ms)}"

        text = TOKEN.sub("any", MOMENT.sub(matters, text))
        return self._texts.setdefault(text, len(self._texts))

    def _steps(self, state: State) -> Iterator[Step]:
        for slot, place in enumerate(state.actors):
            if place != IDLE:
                yield from self._goes_on(state, slot, place)
        for slot, label, spec, cost in self.setting.begins(state):
            after = self._spent(state, cost)
            if after is not None:
                place = self.setting.stage.begin(spec)
                yield from self._goes_on(after, slot, place, f"{label}: ")
        for moment, cost in self.setting.moments(state):
            after = self._spent(state, cost)
            if after is not None and moment > state.now_ms:
                yield Step(f"{moment - state.now_ms} ms pass", self._at(after, moment))

    def _at(self, state: State, moment: int) -> State:
        snapshot = expire(self.setting.snapshots, state.snapshot, moment)
        return replace(state, now_ms=moment, snapshot=snapshot)

    def _spent(self, state: State, cost: str) -> State | None:
        """Return the state with one failure less in the budget; None when none is left."""
        if not cost:
            return state
        index = self._names.index(cost)
        if state.left[index] == 0:
            return None
        left = [*state.left]
        left[index] -= 1
        return replace(state, left=tuple(left))

    def _goes_on(self, state: State, slot: int, number: int, start: str = "") -> Iterator[Step]:
        place = self.setting.stage.places[number]
        assert place is not None
        call, name = place.call, self.setting.slots[slot]
        if isinstance(call, PeerCall):
            for option in self.setting.options(state, place):
                after = self._spent(state, option.cost)
                if after is not None:
                    words = f"{start}{name} {call.name} {call.args}: {option.label}"
                    state_after = replace(after, world=option.world)
                    yield Step(words, self._moved(state_after, slot, number, option.answer))
        elif call is not None:
            yield from self._calls(state, slot, number, start)
        if not start and (dead := self._spent(state, "deaths")) is not None:
            yield Step(f"{name} dies", _put(dead, slot, IDLE))

    def _calls(self, state: State, slot: int, number: int, start: str) -> Iterator[Step]:
        place = self.setting.stage.places[number]
        assert place is not None
        assert isinstance(place.call, Command)
        snapshots, call = self.setting.snapshots, place.call
        words = f"{start}{self.setting.slots[slot]} {_name_of(call)}"
        effect = snapshots.run(state.snapshot, state.now_ms, call)
        ran = replace(state, snapshot=snapshots.written(state.snapshot, effect))
        label = f"{words} -> {_short(effect.answer)}"
        after = self._moved(ran, slot, number, effect.answer)
        self._check_step(label, (state, place, effect, after))
        yield Step(label, after)
        if (broken := self._spent(ran, "breaks")) is not None:
            unsent = replace(state, left=broken.left)
            for what, after, answer in (
                ("answer lost", broken, BROKEN),
                ("run, not answered in time", broken, UNANSWERED),
                ("not run, not answered in time", unsent, UNANSWERED),
            ):
                yield Step(f"{words}, {what}", self._moved(after, slot, number, answer))

    def _check_step(self, label: str, step: tuple[State, Place, Effect, State]) -> None:
        try:
            self.setting.check_step(*step)
        except Violated as broken:
            broken.labels = [label]
            raise

    def _moved(self, state: State, slot: int, number: int, answer: str) -> State:
        """Move an actor to its place after an answer; an actor at its end leaves its slot."""
        after = self.setting.stage.go_on(number, answer)
        place = self.setting.stage.places[after]
        assert place is not None
        if place.call is None:
            ended = _put(state, slot, IDLE)
            return replace(ended, world=self.setting.ended(ended, place))
        return _put(state, slot, after)


def _put(state: State, slot: int, place: int) -> State:
    actors = [*state.actors]
    actors[slot] = place
    return replace(state, actors=tuple(actors))


def _name_of(call: Command) -> str:
    return " ".join((call.name, *(_last(key) for key in call.keys[:1])))


def describe(call: Command, answer: str) -> str:
    """Describe a command and its answer in one line."""
    return f"{_name_of(call)} -> {_short(answer)}"


def _last(key: str) -> str:
    return key.partition(":")[2]


def _short(answer: str) -> str:
    return answer if len(answer) < 60 else f"{answer[:57]}..."
