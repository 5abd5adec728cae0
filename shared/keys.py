"""Every key in Redis: its name, type, fields, meaning, writers and lifetime.

No other module spells a key. All keys of an installation begin with its hash tag (`{billing}:…`),
so that one Redis may serve several installations, and a cluster-mode server, which keeps all keys
of one tag together, can run our scripts. `docs/store.md` is generated from this module and the
scripts by `bin/store-docs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Protocol, TypeVar

from shared.key_fields import BATCH_FIELDS, ITEM_FIELDS

INSTALLATION = "billing"


class State(StrEnum):
    """The state of an item of work."""

    RECEIVED = "received"
    QUEUED = "queued"
    WAITING = "waiting"
    PROCESSING = "processing"
    RETRYING = "retrying"
    PROCESSED = "processed"
    IGNORED = "ignored"
    DELIVERED = "delivered"
    FINISHED = "finished"
    DEAD = "dead"


MEANING = {
    State.RECEIVED: "An event that no worker has claimed yet.",
    State.QUEUED: "A refund job, a notification or a duty that no worker has claimed yet.",
    State.WAITING: "A notification behind an earlier one of its payment.",
    State.PROCESSING: "A worker has claimed it until `lease_until`.",
    State.RETRYING: "It is tried again at `not_before`.",
    State.PROCESSED: "An event whose facts are recorded. Terminal.",
    State.IGNORED: "An event without an effect. Terminal.",
    State.DELIVERED: "A notification that the event service accepted. Terminal.",
    State.FINISHED: "A refund job with Stripe's refund or refusal. Terminal.",
    State.DEAD: "Given up; it needs an operator. Terminal until it is redriven.",
}


class Kind(Protocol):
    """The names of one kind of work in keys: `events` and `event`."""

    @property
    def name(self) -> str: ...  # noqa: D102  # see the class
    @property
    def item(self) -> str: ...  # noqa: D102  # see the class


@dataclass(frozen=True)
class Entry:
    """The description of one kind of key: a row of `docs/store.md`."""

    type: str
    holds: str
    lives: str
    fields: Mapping[str, str] = field(default_factory=dict)
    also_written_by: tuple[str, ...] = ()


SCHEMA: dict[str, Entry] = {}
Method = TypeVar("Method", bound=Callable[..., str])


def entry(
    type_: str,
    holds: str,
    lives: str,
    fields: Mapping[str, str] | None = None,
    also_written_by: tuple[str, ...] = (),
) -> Callable[[Method], Method]:
    """Describe the key that a method of `Keys` names."""

    def describe(method: Method) -> Method:
        SCHEMA[method.__name__] = Entry(type_, holds, lives, fields or {}, also_written_by)
        return method

    return describe


TOMBSTONE = "`TOMBSTONE_RETENTION_SECONDS` after its end; for ever while open or dead"
PAYMENT = "`PAYMENT_RETENTION_SECONDS` after the last change"
BATCH = "`PAYMENT_RETENTION_SECONDS` after its end"


@dataclass(frozen=True)
class Keys:
    """Name the keys of one installation."""

    installation: str = INSTALLATION

    @cached_property
    def prefix(self) -> str:
        """Return the prefix of every key: the installation as a hash tag, and a colon."""
        return f"{{{self.installation}}}:"

    def _name(self, *parts: str) -> str:
        return self.prefix + ":".join(parts)

    def of_kind(self, kind: Kind) -> dict[str, str]:
        """Name what the items of a kind share, each key as the scripts call it."""
        return {name: getattr(self, name)(kind) for name in ("due", "queue", "index", "dead")}

    def of_item(self, kind: Kind, item_id: str) -> dict[str, str]:
        """Name what belongs to one item, each key as the scripts call it."""
        return {name: getattr(self, name)(kind, item_id) for name in ("item", "body", "attempts")}

    def of_payment(self, payment_id: str) -> dict[str, str]:
        """Name what belongs to one payment, each key as the scripts call it."""
        return {name: getattr(self, name)(payment_id) for name in ("payment", "timeline", "outbox")}

    def of_settlement(
        self, payment_id: str, charge_id: str, request_id: str, stripe_key: str
    ) -> dict[str, str]:
        """Name what is written of a payment at an item's end, each key as the scripts call it."""
        return self.of_payment(payment_id) | {
            "intent_of": self.intent_of(charge_id),
            "request_of": self.request_of(request_id),
            "made": self.made(stripe_key),
        }

    @entry("hash", "One item of work.", TOMBSTONE, ITEM_FIELDS)
    def item(self, kind: Kind, item_id: str) -> str:
        """Name an item: `event:evt_…`, `refund:rr_…`, `notification:ntf_…`, `upkeep:reap`."""
        return self._name(kind.item, item_id)

    @entry("string", "The payload of an event, as it was received.", "`PAYLOAD_RETENTION_SECONDS`")
    def body(self, kind: Kind, item_id: str) -> str:
        """Name an item's payload."""
        return self._name(kind.item, item_id, "body")

    @entry("list", "Each attempt at an item and each redrive, JSON, oldest first.", TOMBSTONE)
    def attempts(self, kind: Kind, item_id: str) -> str:
        """Name an item's attempts."""
        return self._name(kind.item, item_id, "attempts")

    @entry(
        "sorted set",
        "Every open item by the time at which the relay rings for it again; of notifications the "
        "first of each outbox.",
        "for ever",
    )
    def due(self, kind: Kind) -> str:
        """Name the index of open items of a kind (ms)."""
        return self._name("due", kind.name)

    @entry("sorted set", "Dead letters by when they were given up.", "for ever")
    def dead(self, kind: Kind) -> str:
        """Name the index of dead letters of a kind (ms)."""
        return self._name("dead", kind.name)

    @entry("sorted set", "All items by when they were recorded.", "reaped with the tombstones")
    def index(self, kind: Kind) -> str:
        """Name the index of all items of a kind (ms)."""
        return self._name("index", kind.name)

    @entry("list", "Celery's queue: doorbells, the next one at the right end.", "until rung")
    def queue(self, kind: Kind) -> str:
        """Name the queue of a kind, which Celery knows by the kind's name alone."""
        return self._name(kind.name)

    @entry(
        "hash",
        "The state of a payment.",
        PAYMENT,
        {
            "id": "`pi_…`, or the charge or session of one without an intent.",
            "revision": "Raised by each change; a decision on an older one is made again.",
            "known": "The latest state of each of its subjects, JSON (`shared/facts.py`).",
            "updated_at": "Milliseconds.",
            "heard_at": "Milliseconds: when its first event was claimed.",
            "sequence": "The number of its latest notification.",
        },
    )
    def payment(self, payment_id: str) -> str:
        """Name the state of a payment."""
        return self._name("payment", payment_id)

    @entry(
        "sorted set",
        "The terms by which payments are found (`shared/work/payment_index.py`), all of score 0.",
        "as its payment; reaped",
    )
    def payment_index(self) -> str:
        """Name the index of payments."""
        return self._name("index", "payments")

    @entry(
        "hash",
        "The progress of the repair of that index.",
        "for ever",
        {
            "indexed": "The metadata keys that the whole index was made for.",
            "filling, filled": "The keys that it is being made for, and the cursor of that scan.",
            "cleared": "The cursor of the search for entries whose payment has expired.",
        },
        also_written_by=("shared/work/payment_index_repair.py",),
    )
    def payment_index_repair(self) -> str:
        """Name the state of the repair of the index of payments."""
        return self._name("index", "payments", "repair")

    @entry("list", "What happened to a payment, JSON, oldest first.", PAYMENT)
    def timeline(self, payment_id: str) -> str:
        """Name a payment's timeline."""
        return self._name("payment", payment_id, "timeline")

    @entry("list", "A payment's unfinished notifications, the next one first.", "until delivered")
    def outbox(self, payment_id: str) -> str:
        """Name a payment's outbox."""
        return self._name("payment", payment_id, "outbox")

    @entry(
        "string",
        "The refund job that a Stripe refund came from.",
        PAYMENT,
        also_written_by=("`put`",),
    )
    def refund_of(self, refund_id: str) -> str:
        """Name the job behind a refund."""
        return self._name("refund_of", refund_id)

    @entry(
        "string",
        "The payment intent of a charge, from an event.",
        PAYMENT,
    )
    def intent_of(self, charge_id: str) -> str:
        """Name the payment intent of a charge."""
        return self._name("intent_of", charge_id)

    @entry("string", "The payment of a request to this service or to Stripe.", PAYMENT)
    def request_of(self, request_id: str) -> str:
        """Name the payment of a request."""
        return self._name("request_of", request_id)

    @entry(
        "string",
        "Of a payment that was made here: its connected account, or `own`.",
        PAYMENT,
        also_written_by=("`put`",),
    )
    def made_here(self, payment_id: str) -> str:
        """Name the mark of a payment that was made here."""
        return self._name("made_here", payment_id)

    @entry(
        "string", "The object that our call with an idempotency key made, from an event.", "2 days"
    )
    def made(self, stripe_key: str) -> str:
        """Name the object that a call made."""
        return self._name("made", stripe_key)

    @entry(
        "hash",
        "A request under an Idempotency-Key, by the hash of caller, route and key.",
        "`IDEMPOTENCY_RETENTION_SECONDS`",
        {
            "fingerprint": "SHA-256 of the body.",
            "begun_at": "Milliseconds.",
            "token": "Token of the request that holds it.",
            "lease_until": "Milliseconds.",
            "done_at": "Milliseconds: when its effect was recorded, though it may have no answer.",
            "answer": "Status and body of the final answer, JSON.",
        },
    )
    def idempotency(self, digest: str) -> str:
        """Name the record of an idempotency key."""
        return self._name("idempotency", digest)

    @entry(
        "hash",
        "Amounts that a caller with a ceiling refunded, by minute.",
        "an hour after the last refund",
        {"<minute>": "An amount, under the milliseconds at which its minute began."},
    )
    def spending(self, caller: str, currency: str) -> str:
        """Name the amounts that count against a caller's ceiling in one currency."""
        return self._name("spending", caller, currency)

    @entry(
        "hash",
        "The unused calls within Stripe's rate limits, by account; a bucket is "
        "`account` or an endpoint.",
        "an hour after the last call",
        {
            "<bucket>:level": "Calls that may be made now; negative when calls were made in "
            "advance.",
            "<bucket>:at": "Milliseconds: the time of that number.",
            "<bucket>:share": "The share of its rate in use after a 429.",
            "<bucket>:lowered_at": "Milliseconds.",
            "<bucket>:line:<priority>": "Milliseconds: the latest turn that was given to a caller.",
        },
    )
    def budget(self, mode: str, account: str) -> str:
        """Name the budget of an account (`own` or `acct_…`) in a mode."""
        return self._name("budget", mode, account)

    @entry(
        "hash",
        "A batch of refunds (`shared/work/batches.py`).",
        BATCH,
        BATCH_FIELDS,
    )
    def batch(self, batch_id: str) -> str:
        """Name a batch of refunds."""
        return self._name("batch", batch_id)

    @entry("hash", "Each member of a batch by its payment, JSON.", BATCH)
    def batch_members(self, batch_id: str) -> str:
        """Name the members of a batch."""
        return self._name("batch", batch_id, "members")

    @entry("sorted set", "A batch's payments by state, and within it as they came.", BATCH)
    def batch_places(self, batch_id: str) -> str:
        """Name the places of a batch's members."""
        return self._name("batch", batch_id, "places")

    @entry("list", "A batch's payments as they came.", BATCH)
    def batch_payments(self, batch_id: str) -> str:
        """Name the payments of a batch."""
        return self._name("batch", batch_id, "payments")

    @entry("sorted set", "All batches by when they were recorded.", "reaped with the batches")
    def batches(self) -> str:
        """Name the index of batches (ms)."""
        return self._name("batches")

    @entry("sorted set", "Batches that need the upkeep duty.", "for ever")
    def active_batches(self) -> str:
        """Name the batches under way."""
        return self._name("batches", "active")

    @entry("list", "Ended refund jobs of batches, until the upkeep duty has read them.", "seconds")
    def ended_members(self) -> str:
        """Name the ended refund jobs that their batches have not read yet."""
        return self._name("batches", "ended")

    @entry(
        "string",
        "A write that replicas must confirm before a notification is sent for the first time.",
        "60 s",
        also_written_by=("`put`",),
    )
    def confirmed(self) -> str:
        """Name the key that is written only to be confirmed by replicas."""
        return self._name("confirmed")

    @entry("string", "Exists while the breaker before the event service is open.", "60 s")
    def breaker(self) -> str:
        """Name the open breaker."""
        return self._name("breaker", "event-service")

    @entry("set", "Payments whose notifications failed since the last answer.", "60 s")
    def failing(self) -> str:
        """Name the breaker's count."""
        return self._name("breaker", "failing")

    @entry("string", "Exists from one probe of the event service to the next.", "3 s")
    def probe(self) -> str:
        """Name the probe under way."""
        return self._name("breaker", "probe")

    @entry(
        "hash",
        "The comparison with Stripe's archive of events.",
        "for ever",
        {
            "round": "The name of the round under way.",
            "round_seen, round_recorded, round_gap": "Counts of the round under way.",
            "seen, recorded, gap": "Counts of the last complete round.",
            "endpoints_enabled, endpoints_disabled": "Webhook endpoints with our path at Stripe.",
            "total_seen, total_recorded, total_gap": "Counts of all rounds.",
            "completed_at": "Milliseconds.",
        },
        also_written_by=("shared/work/reconciliation.py",),
    )
    def reconcile(self) -> str:
        """Name the state of the comparison."""
        return self._name("reconcile")

    @entry(
        "sorted set",
        "Accounts to compare, by the round that last visited each.",
        "for ever",
        also_written_by=("shared/work/reconciliation.py",),
    )
    def accounts(self) -> str:
        """Name the accounts to compare."""
        return self._name("reconcile", "accounts")

    @entry(
        "hash",
        "The progress of one lane (half of the types) of one account, in Stripe's seconds.",
        "for ever",
        {
            "round": "The round that last compared it.",
            "watermark": "Everything up to this second was compared.",
            "position, cursor, stretch, refused, dense": "The position of the round under way.",
        },
        also_written_by=("shared/work/reconciliation.py",),
    )
    def place(self, account: str) -> str:
        """Name the place of one account."""
        return self._name("reconcile", "of", account)

    @entry("list", "The decisions of operators, JSON, oldest first.", "the latest 10,000")
    def audit(self) -> str:
        """Name the audit log."""
        return self._name("audit")

    @entry("hash", "Every counter and histogram of the service (ADR 9).", "for ever")
    def figures(self) -> str:
        """Name the figures."""
        return self._name("metrics")

    @entry(
        "hash",
        "Counts of each five minutes of the last day, for the console (ADR 9).",
        "a day after the last count",
        {
            "<bucket>": "A count: Unix time divided by 300 s names the bucket.",
            "<bucket>:<part>": "Of `delays`: how many fell between two bounds of the histogram.",
        },
    )
    def rates(self, name: str) -> str:
        """Name the buckets of one rate."""
        return self._name("rates", name)

    @entry("sorted set", "Processes by their last sign of life on a queue.", "10 minutes")
    def signs(self, name: str) -> str:
        """Name the signs of life on a queue or of relays (`relay`), or of workers `stuck`."""
        return self._name("alive", name)

    @entry(
        "string",
        "The command that the embedded Valkey dropped at its last start after a crash.",
        "a day",
        also_written_by=("shared/store/durability.py",),
    )
    def dropped(self) -> str:
        """Name the notice of a command that a start of Redis dropped."""
        return self._name("dropped")

    @entry("list", "The last 100 messages on queues that no worker could read, JSON.", "30 days")
    def garbage(self) -> str:
        """Name the messages that workers put aside."""
        return self._name("garbage")

    @entry(
        "hash", "Milliseconds by which the clock of each process is ahead of Redis's.", "10 minutes"
    )
    def clocks(self) -> str:
        """Name the offsets of the processes' clocks."""
        return self._name("clocks")

    @entry("string", "Exists from one pulse on idle queues to the next.", "10 s")
    def pulse(self) -> str:
        """Name the pulse."""
        return self._name("pulse")

    @entry("string", "The latest time that a relay saw, in milliseconds.", "for ever")
    def latest(self) -> str:
        """Name the latest time seen, which shows a clock that was set back."""
        return self._name("clock")

    @entry(
        "hash",
        "The identity of the data; a process of another identity does not start.",
        "for ever",
        {
            "mode": "`live`, `test` or `sandbox`.",
            "api_base": "Address of Stripe's API, unless it is a sandbox.",
            "account": "Stripe's id of the account, when it is known.",
        },
    )
    def identity(self) -> str:
        """Name the identity of the data."""
        return self._name("identity")


def entry_of(key_name: str) -> str | None:
    """Find the entry of a script's key by its name: `due` for `due` and `notification_due`."""
    matches = [n for n in SCHEMA if key_name == n or key_name.endswith(f"_{n}")]
    return max(matches, key=len, default=None)
