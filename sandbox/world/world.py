"""The state of the sandbox: accounts with their objects, time, and reactions to events.

`World` is all of it; a `Scope` is the part that an action sees: one account, and the request behind
the action. Objects are Stripe's JSON in the account's default API version, with ids in place of
objects that can be expanded. Data that Stripe has but never shows (which test card a payment method
is) are in `notes`.
"""

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sandbox.world.changes import Changes
from sandbox.world.clock import Clock
from sandbox.world.faults import Faults
from sandbox.world.idempotency import Memory
from sandbox.world.key_rights import KeyRights
from sandbox.world.mail import Mail
from sandbox.world.objects import Json
from sandbox.world.rate_limits import RateLimits

log = logging.getLogger(__name__)

PLATFORM: Final = "acct_1SandboxPlatform"
"""The account of every test key; `Stripe-Account` names others."""


DEFAULT_KEEP: Final = 5_000
"""Most objects of each kind: the events of some 900 payments, and about 120 MB in all."""
KEPT_FOR_EVER: Final = frozenset({"webhook_endpoint", "v2.core.event_destination"})
"""Kinds that people set up, of which no object is dropped."""


class Forgotten(LookupError):
    """An object was dropped because there are too many newer ones of its kind."""


class Account:
    """The newest objects of one Stripe account, by kind and in order of creation."""

    def __init__(self, account_id: str, changes: Changes, keep: int = DEFAULT_KEEP) -> None:
        self.id = account_id
        self.tables: dict[str, dict[str, Json]] = {}
        self.notes: dict[str, Json] = {}
        self.order: dict[str, int] = {}
        """The place of every object; a list cursor may name one that was deleted recently."""
        self._kinds: dict[str, str] = {}
        self._deleted_ids: deque[str] = deque()
        self._places = itertools.count(1)
        self._changes = changes
        self._keep = keep

    def table(self, kind: str) -> dict[str, Json]:
        """Return all objects of a kind by id, to read; `put` and `remove` change it."""
        return self.tables.setdefault(kind, {})

    def put(self, kind: str, record: Json) -> Json:
        """Store a new object and return it; this may drop the oldest of its kind."""
        table = self.table(kind)
        table[record["id"]] = record
        self.order[record["id"]] = next(self._places)
        self._kinds[record["id"]] = kind
        self.touch(record["id"])
        while len(table) > self._keep and kind not in KEPT_FOR_EVER:
            self._forget_oldest(kind, table)
        return record

    def _forget_oldest(self, kind: str, table: dict[str, Json]) -> None:
        oldest = table[next(iter(table))]
        for follow in FAREWELLS.get(kind, ()):
            follow(self, oldest)
        self.remove(kind, oldest["id"])

    def remove(self, kind: str, object_id: str) -> None:
        """Remove an object and its note."""
        del self.table(kind)[object_id]
        self.notes.pop(object_id, None)
        self._kinds.pop(object_id, None)
        self.touch(object_id)
        self._deleted_ids.append(object_id)
        if len(self._deleted_ids) > self._keep:
            self.order.pop(self._deleted_ids.popleft(), None)

    def find(self, kind: str, object_id: object) -> Json | None:
        """Return an object, or None."""
        record = self.table(kind).get(str(object_id))
        if record is not None:
            self.touch(str(object_id))
        return record

    def note(self, object_id: str) -> Json:
        """Return what is known about an object but never shown."""
        self.touch(object_id)
        return self.notes.setdefault(object_id, {})

    def touch(self, object_id: str) -> None:
        """Mark an object as changed, because it or its note may change now: it is saved again."""
        self._changes.note("thing", self.id, object_id)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all objects in order of creation, then of notes without an object."""
        yield from list(self._kinds)
        yield from (object_id for object_id in list(self.notes) if object_id not in self._kinds)

    def thing(self, object_id: str) -> Json | None:
        """Return all that is stored under an id as plain JSON, or None."""
        kind = self._kinds.get(object_id)
        note = self.notes.get(object_id)
        if kind is None:
            return None if note is None else {"note": note}
        record = self.tables[kind][object_id]
        return {"kind": kind, "place": self.order[object_id], "object": record, "note": note}

    def load(self, things: dict[str, Json]) -> None:
        """Load the values that `thing` returned, by id."""
        for object_id, thing in things.items():
            if thing["note"] is not None:
                self.notes[object_id] = thing["note"]
        stored = sorted((t for t in things.values() if "kind" in t), key=lambda t: int(t["place"]))
        for thing in stored:
            object_id = thing["object"]["id"]
            self.table(thing["kind"])[object_id] = thing["object"]
            self._kinds[object_id], self.order[object_id] = thing["kind"], thing["place"]
        self._places = itertools.count(max(self.order.values(), default=0) + 1)


@dataclass(frozen=True)
class Cause:
    """The request that caused an event, if any."""

    request_id: str | None = None
    idempotency_key: str | None = None


NOBODY: Final = Cause()


class World:
    """The state of the whole sandbox, with hooks for the code that acts on its changes."""

    def __init__(self, keep: int = DEFAULT_KEEP) -> None:
        self.keep = keep
        self.changes = Changes()
        self.clock = Clock(self.changes)
        self.mail = Mail(self.changes, keep)
        self.memory = Memory(self.changes, keep)
        self.faults = Faults()
        self.rate_limits = RateLimits()
        self.key_rights = KeyRights()
        self.accounts: dict[str, Account] = {}
        self.base_url = "http://127.0.0.1"
        self.webhook_hosts: set[str] = set()
        """Hosts besides loopback to which events may be sent."""
        self.acted: dict[str, int] = {}
        """Number of calls that took effect, by method and route."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when jobs or objects changed: wakes the ticker and the state writer."""
        self.send: Callable[[Json], None] = lambda _: None
        """Called with a delivery that is due: the postman begins an attempt."""

    def account(self, account_id: str = PLATFORM) -> Account:
        """Return an account, which is created if it does not exist."""
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(account_id, self.changes, self.keep)
        return self.accounts[account_id]

    def count(self, route: str) -> None:
        """Count a call that took effect."""
        self.acted[route] = self.acted.get(route, 0) + 1
        self.changes.note("acted")

    def scope(self, account_id: str = PLATFORM, cause: Cause = NOBODY) -> "Scope":
        """Return the scope of an action in this account."""
        return Scope(self, self.account(account_id), cause)

    def owner_of(self, kind: str, object_id: str) -> Account | None:
        """Return the account of an object; ids are unique across accounts."""
        for account in self.accounts.values():
            if account.find(kind, object_id) is not None:
                return account
        return None

    def run_due_jobs(self) -> None:
        """Run all jobs that are due, the earliest first."""
        while (job := self.clock.pop_due()) is not None:
            try:
                JOBS[job.name](self.scope(job.args["account"]), job.args)
            except Forgotten as gone:
                log.info("job %s: %s", job.name, gone)
            except Exception:
                # A job that fails must not prevent the others.
                log.exception("job %s failed", job.name)

    def advance(self, seconds: float) -> None:
        """Advance the time; each job that becomes due runs at its due time."""
        target = self.clock.now() + seconds
        while (due := self.clock.next_due()) is not None and due <= target:
            self.clock.pin(max(due, self.clock.now()))
            self.run_due_jobs()
        self.clock.pin(None)
        self.clock.move(seconds)
        self.on_change()


@dataclass(frozen=True)
class Scope:
    """The account, the time and the cause of an action."""

    world: World
    account: Account
    cause: Cause = NOBODY

    @property
    def now(self) -> int:
        """The time in Stripe's format: whole seconds since 1970."""
        return int(self.world.clock.now())

    def put(self, kind: str, record: Json) -> Json:
        """Store a new object and return it."""
        return self.account.put(kind, record)

    def find(self, kind: str, object_id: object) -> Json | None:
        """Return an object, or None."""
        return self.account.find(kind, object_id)

    def get(self, kind: str, object_id: object) -> Json:
        """Return an object that existed. Raises `Forgotten` if it was dropped."""
        record = self.account.find(kind, object_id)
        if record is None:
            raise Forgotten(f"{kind} {object_id} is no longer kept")
        return record

    def note(self, object_id: str) -> Json:
        """Return what is known about an object but never shown."""
        return self.account.note(object_id)

    def later(self, delay_seconds: float, job: str, **args: object) -> None:
        """Schedule a job in this account after a delay of sandbox time."""
        self.world.clock.schedule(delay_seconds, job, {"account": self.account.id, **args})
        self.world.on_change()

    def unasked(self) -> "Scope":
        """Return the same scope without a request, for events that no request caused."""
        return Scope(self.world, self.account)


Farewell = Callable[[Account, Json], None]
JobHandler = Callable[[Scope, Json], None]
Reaction = Callable[[Scope, Json], None]

JOBS: Final[dict[str, JobHandler]] = {}
REACTIONS: Final[dict[str, list[Reaction]]] = {}
FAREWELLS: Final[dict[str, list[Farewell]]] = {}
"""Functions to call before the oldest object of a kind is dropped."""


def job(name: str) -> Callable[[JobHandler], JobHandler]:
    """Register the function of a scheduled job, which gets the scope and the arguments."""

    def register(handler: JobHandler) -> JobHandler:
        JOBS[name] = handler
        return handler

    return register


def reacts_to(*event_types: str) -> Callable[[Reaction], Reaction]:
    """Register a reaction to events, which gets the scope and the live object."""

    def register(reaction: Reaction) -> Reaction:
        for event_type in event_types:
            REACTIONS.setdefault(event_type, []).append(reaction)
        return reaction

    return register
