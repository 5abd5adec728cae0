"""Actors: the product's own Python, stopped before each of its calls to the store or to a peer.

An actor is a function and the answers that its calls got so far. To continue, it runs again from
its beginning and gets the same answers, so it reaches the same place and stops at the next call.
So each place of an actor is a small number in a state, and is reached by execution only once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from redis import Redis
from redis.exceptions import ConnectionError as Broken

from shared.errors import BillingError
from shared.store import sources
from shared.store.scripts import Call, Store
from shared.work.items import Claim
from tests.explore.snapshots import Command, Violated
from worker.throttle import Throttle

# The answer to a call whose connection broke, so that it is sent again, and to a call without an
# answer in time, which is not. Either may have run, and its caller cannot know.
BROKEN = "broken"
UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Spec:
    """The task of an actor: the name of its function, its arguments, its token."""

    name: str
    args: tuple[str, ...]
    token: str


@dataclass(frozen=True)
class PeerCall:
    """A call to a peer, not to the store."""

    name: str
    args: str


@dataclass(frozen=True)
class Place:
    """The position of an actor: before a call, or at its end with its result."""

    spec: Spec
    answers: tuple[str, ...]
    call: Command | PeerCall | None
    result: Any = None


class _Stopped(BaseException):
    """Ends a run before a call; no code of the product catches it."""

    def __init__(self, call: Command | PeerCall) -> None:
        super().__init__()
        self.call = call


class Connection:
    """The connection of the actor that runs; it is its own pool.

    Between commands that are sent together, those of other actors may run.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._commands: Iterator[tuple[Any, ...]] = iter(())

    def make_connection(self) -> Connection:
        return self

    def connect(self) -> None:
        pass

    def pack_commands(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
        return commands

    def send_packed_command(self, commands: Sequence[tuple[Any, ...]]) -> None:
        self._commands = iter(commands)

    def read_response(self) -> Any:
        return self._stage.answer(self._stage.command(next(self._commands)))

    def disconnect(self) -> None:
        pass


class Client(Redis):
    """The Redis client of the actor that runs."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(decode_responses=True)
        self._stage = stage
        self.connection_pool = Connection(stage)

    def execute_command(self, *args: Any, **_: Any) -> Any:
        return self._stage.answer(self._stage.command(args))

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:
        """Return a pipeline; commands of other actors may run between its own."""
        assert not transaction, "nothing that is explored needs a transaction"
        return Pipeline(self)

    def close(self) -> None:
        """Close nothing."""


class Pipeline(Redis):
    """Commands that are sent together and run in turn."""

    def __init__(self, client: Client) -> None:
        super().__init__(decode_responses=True)
        self._client = client
        self._queued: list[Callable[[], Any]] = []

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Queue a command."""
        self._queued.append(lambda: self._client.execute_command(*args, **options))
        return self

    def execute(self) -> list[Any]:
        """Run the queued commands."""
        queued, self._queued = self._queued, []
        return [run() for run in queued]

    def close(self) -> None:
        """Close nothing."""


class Stage:
    """Runs actors, and numbers the places that they reach."""

    def __init__(self) -> None:
        self.places: list[Place | None] = [None]
        self.actors: dict[str, Callable[..., Any]] = {}
        # Peers' answers are JSON text; these functions convert them to the types of the product.
        self.translate: dict[str, Callable[[Any], Any]] = {}
        self.store = Store(Client(self))
        self._scripts: dict[str, str] = {}
        self._starts: dict[Spec, int] = {}
        self._next: dict[tuple[int, str], int] = {}
        self._answers: Iterator[str] = iter(())
        self._token = ""
        self._tokens = 0
        self.runs = 0

    def begin(self, spec: Spec) -> int:
        """Return the first place at which an actor stops."""
        number = self._starts.get(spec)
        if number is None:
            number = self._starts[spec] = self._number(self._run(spec, ()))
        return number

    def go_on(self, place: int, answer: str) -> int:
        """Return the place at which an actor stops after its call was answered."""
        number = self._next.get((place, answer))
        if number is None:
            at = self.places[place]
            assert at is not None
            number = self._number(self._run(at.spec, (*at.answers, answer)))
            self._next[place, answer] = number
        return number

    def _number(self, place: Place) -> int:
        self.places.append(place)
        return len(self.places) - 1

    def _run(self, spec: Spec, answers: tuple[str, ...]) -> Place:
        self.runs += 1
        self._answers, self._token, self._tokens = iter(answers), spec.token, 0
        try:
            result = self.actors[spec.name](*spec.args)
        except _Stopped as stopped:
            return Place(spec, answers, stopped.call)
        except BillingError as error:
            return Place(spec, answers, None, error)
        except Exception as error:
            defect = f"{spec.name} met {type(error).__name__}: {error}"
            raise Violated(f"invariant 15: {defect}") from error
        return Place(spec, answers, None, result)

    def answer(self, call: Command | PeerCall) -> Any:
        """Return the recorded answer to a call, or stop before the call when there is none."""
        text = next(self._answers, None)
        if text is None:
            raise _Stopped(call)
        if text == BROKEN:
            raise Broken("the connection broke")
        if text == UNANSWERED:
            raise TimeoutError("no answer in time")
        fields = json.loads(text)
        return self.translate[call.name](fields) if isinstance(call, PeerCall) else fields

    def peer(self, name: str, *args: Any) -> Any:
        """Call a peer; the search chooses its answer."""
        return self.answer(PeerCall(name, json.dumps(args)))

    def command(self, args: tuple[Any, ...]) -> Command:
        """Return the command that a client sends, and the keys that it names."""
        if args[0] != "EVALSHA":
            return Command(args[0].lower(), args, args[1:2])
        if not self._scripts:
            self._scripts = {sources.script_hash(name): name for name in sources.script_names()}
        name = self._scripts[args[1]]
        return Command(name, args, args[3 : 3 + args[2]], sources.script_source(name))

    def token(self, _: int = 0) -> str:
        """Return a token that no other actor has."""
        self._tokens += 1
        return f"{self._token}{'' if self._tokens == 1 else f'.{self._tokens}'}"


class LatestMoment:
    """Dice that always choose the longest pause: the search of orders needs no shorter one."""

    def uniform(self, _: float, longest: float) -> float:
        return longest


def _without_flags(source: Callable[[str], str]) -> Callable[[str], str]:
    return cache(lambda name: source(name).partition("\n")[2])


def _hash(source: str) -> str:
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _one_by_one(store: Store, calls: Sequence[Call]) -> list[Any]:
    """Run joined commands one by one, so that the search also tries steps between them."""
    return [store.run(call) for call in calls]


@contextmanager
def still(stage: Stage, dice: tuple[str, ...]) -> Iterator[None]:
    """Remove chance, the host's clock and its load: the same answers lead to the same place."""
    # Fakeredis does not know script flags, so their line is left out.
    plain = _without_flags(sources.script_source)
    with ExitStack() as stack:
        for target, name, value in (
            (secrets, "token_hex", stage.token),
            (Claim, "elapsed_seconds", 0.0),
            (Throttle, "share", lambda _: 1.0),
            (sources, "script_source", plain),
            (sources, "script_hash", lambda name: _hash(plain(name))),
            (Store, "run_together", _one_by_one),
        ):
            stack.enter_context(patch.object(target, name, value))
        for name in dice:
            stack.enter_context(patch(name, LatestMoment()))
        yield
