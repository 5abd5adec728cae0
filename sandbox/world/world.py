"""Hold everything the sandbox knows: accounts with their objects, time, and who reacts to what.

`World` is the whole; `Scope` is what an action sees of it: one account, and who asked. Objects are
Stripe's JSON in the account's default API version, with ids for what can be expanded. What Stripe
knows but never shows (which test card a payment method is) lies beside them in `notes`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox.world.clock import Clock
from sandbox.world.faults import Faults
from sandbox.world.idempotency import Memory
from sandbox.world.mail import Mail
from sandbox.world.objects import Json
from sandbox.world.rate_limits import RateLimits

log = logging.getLogger(__name__)

PLATFORM: Final = "acct_1SandboxPlatform"
"""Every test key is a key of this one account; `Stripe-Account` names others."""


@dataclass
class Account:
    """Keep the objects of one Stripe account, each kind in order of creation."""

    id: str
    tables: dict[str, dict[str, Json]] = field(default_factory=dict)
    notes: dict[str, Json] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)
    """Place of every object ever created: a list cursor may name a deleted one."""

    def table(self, kind: str) -> dict[str, Json]:
        """Return all objects of a kind by id."""
        return self.tables.setdefault(kind, {})

    def put(self, kind: str, record: Json) -> Json:
        """Keep a new object and return it."""
        self.table(kind)[record["id"]] = record
        self.order[record["id"]] = len(self.order)
        return record

    def find(self, kind: str, object_id: object) -> Json | None:
        """Return an object, or None."""
        return self.table(kind).get(str(object_id))

    def note(self, object_id: str) -> Json:
        """Return what is known about an object but never shown."""
        return self.notes.setdefault(object_id, {})


@dataclass(frozen=True)
class Cause:
    """Say which request an event goes back to, if any."""

    request_id: str | None = None
    idempotency_key: str | None = None


NOBODY: Final = Cause()


class World:
    """Hold the state of the whole sandbox, and call whoever acts on it from outside."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.mail = Mail()
        self.memory = Memory()
        self.faults = Faults()
        self.rate_limits = RateLimits()
        self.accounts: dict[str, Account] = {}
        self.base_url = "http://127.0.0.1"
        self.acted: dict[str, int] = {}
        """How many calls took effect, by method and route."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when jobs or objects changed: wakes the ticker and the state writer."""
        self.send: Callable[[Json], None] = lambda _: None
        """Called with a delivery that is due: the postman begins an attempt."""

    def account(self, account_id: str = PLATFORM) -> Account:
        """Return an account; naming one is enough to have it."""
        return self.accounts.setdefault(account_id, Account(account_id))

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
        self.clock.offset_seconds += seconds
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
        """Return an object that is known to exist."""
        return self.account.table(kind)[str(object_id)]

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


JobHandler = Callable[[Scope, Json], None]
Reaction = Callable[[Scope, Json], None]

JOBS: Final[dict[str, JobHandler]] = {}
REACTIONS: Final[dict[str, list[Reaction]]] = {}


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
