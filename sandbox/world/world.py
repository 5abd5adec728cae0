"""Hold everything the sandbox knows: accounts with their objects, time, and who reacts to what.

`World` is the whole; `Scope` is what an action sees of it: one account, and who asked. Objects are
Stripe's JSON in the account's default API version, with ids for what can be expanded. What Stripe
knows but never shows (which test card a payment method is) lies beside them in `notes`.
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
from sandbox.world.mail import Mail
from sandbox.world.objects import Json
from sandbox.world.rate_limits import RateLimits

log = logging.getLogger(__name__)

PLATFORM: Final = "acct_1SandboxPlatform"
"""Every test key is a key of this one account; `Stripe-Account` names others."""


DEFAULT_KEEP: Final = 5_000
"""Objects kept of each kind: the events of some 900 payments, and about 120 MB in all."""
KEPT_FOR_EVER: Final = frozenset({"webhook_endpoint", "v2.core.event_destination"})
"""What a person has set up, and nothing that comes with every payment."""


class Forgotten(LookupError):
    """An object is no longer kept: so many newer ones of its kind have come."""


class Account:
    """Keep the newest objects of one Stripe account, each kind in order of creation."""

    def __init__(self, account_id: str, changes: Changes, keep: int = DEFAULT_KEEP) -> None:
        self.id = account_id
        self.tables: dict[str, dict[str, Json]] = {}
        self.notes: dict[str, Json] = {}
        self.order: dict[str, int] = {}
        """Place of every object: a list cursor may name one that was deleted lately."""
        self._kinds: dict[str, str] = {}
        self._gone: deque[str] = deque()
        self._places = itertools.count(1)
        self._changes = changes
        self._keep = keep

    def table(self, kind: str) -> dict[str, Json]:
        """Return all objects of a kind by id, to read; `put` and `remove` change it."""
        return self.tables.setdefault(kind, {})

    def put(self, kind: str, record: Json) -> Json:
        """Keep a new object and return it; the oldest of its kind may have to go."""
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
        """Drop an object and what was noted about it."""
        del self.table(kind)[object_id]
        self.notes.pop(object_id, None)
        self._kinds.pop(object_id, None)
        self.touch(object_id)
        self._gone.append(object_id)
        if len(self._gone) > self._keep:
            self.order.pop(self._gone.popleft(), None)

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
        """Say that an object or its note may be changed now: it is written down again."""
        self._changes.note("thing", self.id, object_id)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all that is kept, in order of creation, then of notes alone."""
        yield from list(self._kinds)
        yield from (object_id for object_id in list(self.notes) if object_id not in self._kinds)

    def thing(self, object_id: str) -> Json | None:
        """Return all that is kept under an id as plain JSON, or None."""
        kind = self._kinds.get(object_id)
        note = self.notes.get(object_id)
        if kind is None:
            return None if note is None else {"note": note}
        record = self.tables[kind][object_id]
        return {"kind": kind, "place": self.order[object_id], "object": record, "note": note}

    def load(self, things: dict[str, Json]) -> None:
        """Take over what `thing` returned, by id."""
        for object_id, thing in things.items():
            if thing["note"] is not None:
                self.notes[object_id] = thing["note"]
        kept = sorted((t for t in things.values() if "kind" in t), key=lambda t: int(t["place"]))
        for thing in kept:
            object_id = thing["object"]["id"]
            self.table(thing["kind"])[object_id] = thing["object"]
            self._kinds[object_id], self.order[object_id] = thing["kind"], thing["place"]
        self._places = itertools.count(max(self.order.values(), default=0) + 1)


@dataclass(frozen=True)
class Cause:
    """Say which request an event goes back to, if any."""

    request_id: str | None = None
    idempotency_key: str | None = None


NOBODY: Final = Cause()


class World:
    """Hold the state of the whole sandbox, and call whoever acts on it from outside."""

    def __init__(self, keep: int = DEFAULT_KEEP) -> None:
        self.keep = keep
        self.changes = Changes()
        self.clock = Clock(self.changes)
        self.mail = Mail(self.changes, keep)
        self.memory = Memory(self.changes, keep)
        self.faults = Faults()
        self.rate_limits = RateLimits()
        self.accounts: dict[str, Account] = {}
        self.base_url = "http://127.0.0.1"
        self.webhook_hosts: set[str] = set()
        """Hosts beside loopback that events may be sent to."""
        self.acted: dict[str, int] = {}
        """How many calls took effect, by method and route."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when jobs or objects changed: wakes the ticker and the state writer."""
        self.send: Callable[[Json], None] = lambda _: None
        """Called with a delivery that is due: the postman begins an attempt."""

    def account(self, account_id: str = PLATFORM) -> Account:
        """Return an account; naming one is enough to have it."""
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(account_id, self.changes, self.keep)
        return self.accounts[account_id]

    def count(self, route: str) -> None:
        """Count a call that took effect."""
        self.acted[route] = self.acted.get(route, 0) + 1
        self.changes.note("acted")

    def scope(self, account_id: str = PLATFORM, cause: Cause = NOBODY) -> "Scope":
        """Return what an action in this account sees."""
        return Scope(self, self.account(account_id), cause)

    def owner_of(self, kind: str, object_id: str) -> Account | None:
        """Return the account an object belongs to: ids are unique over all of them."""
        for account in self.accounts.values():
            if account.find(kind, object_id) is not None:
                return account
        return None

    def run_due_jobs(self) -> None:
        """Do everything whose time has come, earliest first."""
        while (job := self.clock.pop_due()) is not None:
            try:
                JOBS[job.name](self.scope(job.args["account"]), job.args)
            except Forgotten as gone:
                log.info("job %s: %s", job.name, gone)
            except Exception:
                # One job that cannot be done must not stop time for all the others.
                log.exception("job %s failed", job.name)

    def advance(self, seconds: float) -> None:
        """Let time pass: each job on the way runs at its own moment."""
        target = self.clock.now() + seconds
        while (due := self.clock.next_due()) is not None and due <= target:
            self.clock.pin(max(due, self.clock.now()))
            self.run_due_jobs()
        self.clock.pin(None)
        self.clock.move(seconds)
        self.on_change()


@dataclass(frozen=True)
class Scope:
    """Give an action its account, its time and its cause."""

    world: World
    account: Account
    cause: Cause = NOBODY

    @property
    def now(self) -> int:
        """Return the time as Stripe writes it: whole seconds since 1970."""
        return int(self.world.clock.now())

    def put(self, kind: str, record: Json) -> Json:
        """Keep a new object and return it."""
        return self.account.put(kind, record)

    def find(self, kind: str, object_id: object) -> Json | None:
        """Return an object, or None."""
        return self.account.find(kind, object_id)

    def get(self, kind: str, object_id: object) -> Json:
        """Return an object that is known to have existed. Raises `Forgotten`."""
        record = self.account.find(kind, object_id)
        if record is None:
            raise Forgotten(f"{kind} {object_id} is no longer kept")
        return record

    def note(self, object_id: str) -> Json:
        """Return what is known about an object but never shown."""
        return self.account.note(object_id)

    def later(self, delay_seconds: float, job: str, **args: object) -> None:
        """Have a job run in this account after a delay of sandbox time."""
        self.world.clock.schedule(delay_seconds, job, {"account": self.account.id, **args})
        self.world.on_change()

    def unasked(self) -> "Scope":
        """Return the same scope for what nobody asked for: events without a request."""
        return Scope(self.world, self.account)


Farewell = Callable[[Account, Json], None]
JobHandler = Callable[[Scope, Json], None]
Reaction = Callable[[Scope, Json], None]

JOBS: Final[dict[str, JobHandler]] = {}
REACTIONS: Final[dict[str, list[Reaction]]] = {}
FAREWELLS: Final[dict[str, list[Farewell]]] = {}
"""What is done before the oldest object of a kind is forgotten."""


def job(name: str) -> Callable[[JobHandler], JobHandler]:
    """Register what a scheduled job does; it gets the scope and the arguments."""

    def register(handler: JobHandler) -> JobHandler:
        JOBS[name] = handler
        return handler

    return register


def reacts_to(*event_types: str) -> Callable[[Reaction], Reaction]:
    """Register an effect of events inside the sandbox; it gets the scope and the live object."""

    def register(reaction: Reaction) -> Reaction:
        for event_type in event_types:
            REACTIONS.setdefault(event_type, []).append(reaction)
        return reaction

    return register
