"""Batches of refunds: each is recorded in one step with all its members, which are then counted.

    running ─> completed            members: not begun ─> begun ─> refunded, failed, left out, dead
       │ └─> paused ─> running                 (waiting for balance, pending at the bank)
       └─> canceled

A member becomes an ordinary refund job, whose id is made from the batch, the payment and the try.
The script that ends such a job adds it to a list in the same step; upkeep then changes the member's
state (`worker/refund_batches.py`). Every script that changes a member's state also counts it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from shared.canonical_json import compact
from shared.digest_ids import digest_id
from shared.errors import CallerError, Unavailable
from shared.keys import State
from shared.settings import Settings
from shared.store.scripts import AUDIT_LIMIT, TIMELINE_LIMIT, Call, Store, redis_errors
from shared.work.batch import BEHIND_MS, BatchRecord, BatchState, Member, MemberState
from shared.work.batch_notification import STARTED, batch_notification
from shared.work.batch_turns import Turn
from shared.work.breaker import OPEN_MS
from shared.work.ceilings import COUNTED_MS, Ceiling, ceiling_reached, spending_keys
from shared.work.items import GUARD_MS, UNTRIED, item_id
from shared.work.kinds import NOTIFICATIONS, REFUNDS
from shared.work.payments import entry
from shared.work.refund_jobs import RefundRequest

Json = dict[str, Any]
BATCH_PREFIX = "rb_"
# Prefix by which an event about a refund recognises a member's job without a look-up.
MEMBER_PREFIX = "rr_m"
# Hexadecimal digits: 128 and 124 bits.
BATCH_ID_LENGTH = 32
MEMBER_ID_LENGTH = 31
# Distance between the states in the set of places (`prelude.lua`), and so the most members.
PLACES_A_STATE = 1_000_000
# Members written by one script: it blocks Redis for two milliseconds.
PIECE = 500
# Batches read in one round trip of a list.
BATCHES_READ = 100
# Members moved by one command, which is written to disk once: about a millisecond of Redis's time.
STEPS = 20
# Expiry of members under temporary names, in case the process dies before it renames them.
ASIDE_MS = 600_000
# Tries of a change of state, each of which fails when a member changes between read and write.
MAX_RACES = 20


def batch_id(scope: str, idempotency_key: str) -> str:
    """Make a batch's id from the caller's scope and idempotency key."""
    return digest_id(BATCH_PREFIX, f"{scope}\n{idempotency_key}", BATCH_ID_LENGTH)


def member_job_id(batch: str, payment_id: str, tries: int) -> str:
    """Make the id of a member's refund job: the same try always has the same job."""
    return digest_id(MEMBER_PREFIX, f"{batch}\n{payment_id}\n{tries}", MEMBER_ID_LENGTH)


@dataclass(frozen=True)
class NewBatch:
    """A batch to record: its fields, its members in order, the ceilings it counts against.

    `audit` are entries of the audit log.
    """

    id: str
    fields: dict[str, str]
    members: Sequence[Member]
    ceilings: Sequence[Ceiling] = ()
    audit: Sequence[str] = ()


class Batches:
    """Record batches, read them, move their members and turn their states."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._retention_ms = settings.payment_retention_seconds * 1000

    def record(self, new: NewBatch) -> None:
        """Record a batch with all its members in one step; a known id changes nothing.

        Raises `CallerError` 429 when it is above a ceiling of its caller, `Unavailable` when it is
        uncertain whether it was recorded.
        """
        aside = f"{new.id}:{secrets.token_hex(8)}"
        self._write_aside(aside, new.members)
        outcome, *rest = self._store.run_durably(self._recording(new, aside))
        if outcome == "incomplete":
            raise Unavailable(
                "The batch could not be recorded; try again.", code="batch_incomplete"
            )
        if outcome == "ceiling":
            raise ceiling_reached(new.ceilings, int(rest[0]))

    def _write_aside(self, aside: str, members: Sequence[Member]) -> None:
        """Write members under temporary names, which are not read until they are renamed."""
        keys = self._store.keys
        names = {
            "batch_members": keys.batch_members(aside),
            "batch_places": keys.batch_places(aside),
            "batch_payments": keys.batch_payments(aside),
        }
        for start in range(0, len(members), PIECE):
            args: list[Any] = [start, ASIDE_MS]
            for number, member in enumerate(members[start : start + PIECE], start):
                args += [member.payment, member.state.number, member.text(number)]
            self._store.run(Call("batch_stage", names, args))

    def _recording(self, new: NewBatch, aside: str) -> Call:
        fields = new.fields | count_fields(new.members) | {"state": BatchState.RUNNING}
        fields |= {"done_before": fields.get(f"count:{MemberState.LEFT_OUT}", "0")}
        notification = self._notification(BatchRecord(new.id, fields), STARTED)
        plan = {
            "id": new.id,
            "fields": fields,
            "notification": notification,
            "members": len(new.members),
            "guard_ms": GUARD_MS,
            "open_ms": OPEN_MS,
        }
        plan |= _counted(new.ceilings) | _audited(new.audit)
        keys = self._store.keys
        names = self._names(new.id) | self._telling(new.id, str(notification["id"]))
        names |= {
            "batches": keys.batches(),
            "active_batches": keys.active_batches(),
            "batch_payments": keys.batch_payments(new.id),
            "new_batch_members": keys.batch_members(aside),
            "new_batch_places": keys.batch_places(aside),
            "new_batch_payments": keys.batch_payments(aside),
            "audit": keys.audit(),
            "spending": spending_keys(keys, new.ceilings),
        }
        return Call("batch_record", names, [NOTIFICATIONS.message, compact(plan)])

    def read(self, batch: str) -> BatchRecord:
        """Read a batch. Raises `CallerError` 404 when there is none, `Unavailable`."""
        record = self.find(batch)
        if record is None:
            raise CallerError("No batch has this id.", status=404, code="batch_not_found")
        return record

    def find(self, batch: str) -> BatchRecord | None:
        """Read a batch; None when there is none. Raises `Unavailable`."""
        fields = self._store.hash(self._store.keys.batch(item_id(batch)))
        return BatchRecord(batch, fields) if fields else None

    def active(self) -> list[str]:
        """Name the batches that need the upkeep duty. Raises `Unavailable`."""
        with redis_errors():
            return cast(
                list[str], self._store.redis.zrange(self._store.keys.active_batches(), 0, -1)
            )

    def walk(self) -> Iterator[BatchRecord]:
        """Read all batches, the newest first, a page at a time. Raises `Unavailable`."""
        start, ids = 0, [""]
        while ids:
            with redis_errors():
                end = start + BATCHES_READ - 1
                name = self._store.keys.batches()
                ids = cast(list[str], self._store.redis.zrange(name, start, end, desc=True))
                pipe = self._store.redis.pipeline(transaction=False)
                for one in ids:
                    pipe.hgetall(self._store.keys.batch(one))
                rows = cast(list[dict[str, str]], pipe.execute())
            yield from (BatchRecord(fields["id"], fields) for fields in rows if fields)
            start += BATCHES_READ

    def members(
        self, batch: str, state: MemberState | None, after: int | None, limit: int
    ) -> list[Member]:
        """List members in their order, in one state or in all, after a member's number.

        Raises `Unavailable`.
        """
        start = 0 if after is None else after + 1
        keys = self._store.keys
        with redis_errors():
            if state is None:
                name = keys.batch_payments(batch)
                payments: Any = self._store.redis.lrange(name, start, start + limit - 1)
            else:
                low = state.number * PLACES_A_STATE
                bounds = (low + start, low + PLACES_A_STATE - 1)
                name = keys.batch_places(batch)
                payments = self._store.redis.zrange(
                    name, *bounds, byscore=True, offset=0, num=limit
                )
        return self._read_members(batch, payments)

    def number_of(self, batch: str, payment_id: str) -> int:
        """Return a payment's number among the members. Raises `CallerError` 400 when it is none."""
        members = self._read_members(batch, [payment_id])
        if not members:
            raise CallerError(
                "No payment of this batch has this id; start from the first page again.",
                code="invalid_parameter",
                param="starting_after",
            )
        return members[0].n

    def absent(self, batch: str, payment_ids: Sequence[str]) -> list[str]:
        """Return the payments among these that are not members. Raises `Unavailable`."""
        if not payment_ids:
            return []
        with redis_errors():
            name = self._store.keys.batch_members(batch)
            texts = cast(list[str | None], self._store.redis.hmget(name, list(payment_ids)))
        return [one for one, text in zip(payment_ids, texts, strict=True) if text is None]

    def _read_members(self, batch: str, payment_ids: list[str]) -> list[Member]:
        if not payment_ids:
            return []
        with redis_errors():
            name = self._store.keys.batch_members(batch)
            texts = cast(list[str | None], self._store.redis.hmget(name, payment_ids))
        return [Member.of(json.loads(text)) for text in texts if text]

    def beginning(
        self, batch: BatchRecord, member: Member, request: RefundRequest, pace_ms: float = 0
    ) -> Call:
        """Build the step that records a member's refund job and changes the member's state.

        The next member is due `pace_ms` later (`BatchRecord.due_members`).
        """
        job = member_job_id(batch.id, member.payment, member.tries)
        queued = entry(
            "refund_requested",
            refund_request_id=job,
            batch_id=batch.id,
            amount=request.amount,
            reason=request.reason,
        )
        fields = {
            "id": job,
            "state": State.QUEUED,
            "payment_id": member.payment,
            "account": request.account or "",
            "expected_currency": request.expected_currency or "",
            "request": json.dumps(request.params(job)),
            "type": "refund",
            "batch_id": batch.id,
            "request_id": batch.fields.get("request_id", ""),
        }
        plan = {
            "id": job,
            "fields": UNTRIED | {name: value for name, value in fields.items() if value},
            "guard_ms": GUARD_MS,
            "entry": compact(queued),
            "timeline_limit": TIMELINE_LIMIT,
            "timeline_ttl_ms": self._retention_ms,
            "account": request.account or "",
            "pace_ms": pace_ms,
            "behind_ms": BEHIND_MS,
        }
        changes = {"state": MemberState.BEGUN, "job": job, "amount": request.amount}
        return self._beginning(batch.id, member.payment, job, plan | {"changes": changes})

    def leaving_out(self, batch: str, member: Member, reason: str) -> Call:
        """Build the step that leaves a member out that was to be begun."""
        changes = {"state": MemberState.LEFT_OUT, "reason": reason, "amount": 0}
        return self._beginning(batch, member.payment, "rr_none", {"changes": changes})

    def begin(self, steps: Sequence[Call]) -> list[str]:
        """Take the steps that `beginning` and `leaving_out` built, each atomic on its own.

        Returns for each `begun`, or the state of the batch or the member that forbids it. Raises
        `Unavailable`.
        """
        return [str(outcome) for outcome in self._together(steps)]

    def _together(self, steps: Sequence[Call]) -> list[Any]:
        pieces = (steps[start : start + STEPS] for start in range(0, len(steps), STEPS))
        return [result for piece in pieces for result in self._store.run_together(piece)]

    def _beginning(self, batch: str, payment_id: str, job: str, plan: Json) -> Call:
        keys, kind = self._store.keys, REFUNDS
        names = self._names(batch) | {
            **keys.of_kind(kind),
            **keys.of_item(kind, job),
            "timeline": keys.timeline(payment_id),
            "accounts": keys.accounts(),
            "ended_members": keys.ended_members(),
        }
        args = [kind.message, compact(plan | {"payment": payment_id})]
        return Call("batch_begin", names, args)

    def ending(self, batch: str, payment_id: str, ended: Sequence[str], changes: Json) -> Call:
        """Build the step that moves a member to where its job stands.

        It takes the hand-overs `ended` from the list, all of one job, with which each begins.
        """
        names = self._names(batch) | {"ended_members": self._store.keys.ended_members()}
        job = ended[0].partition(":")[0]
        plan = {"payment": payment_id, "job": job, "entries": ended, "changes": changes}
        return Call("batch_end", names, [compact(plan)])

    def end(self, steps: Sequence[Call]) -> None:
        """Take the steps that `ending` built, each atomic on its own. Raises `Unavailable`."""
        self._together(steps)

    def ended(self, limit: int) -> list[str]:
        """Read the ended jobs still in the list, the oldest first. Raises `Unavailable`."""
        with redis_errors():
            name = self._store.keys.ended_members()
            return cast(list[str], self._store.redis.lrange(name, 0, limit - 1))

    def drop(self, ended: str) -> None:
        """Remove an ended job from the list that no batch needs. Raises `Unavailable`."""
        with redis_errors():
            self._store.redis.lrem(self._store.keys.ended_members(), 1, ended)

    def again(self, batch: str, state: MemberState, until_ms: int, members: list[Member]) -> int:
        """Set members in a state that had ended by a time back to not begun; return their number.

        Raises `Unavailable`.
        """
        args = [until_ms, state, *(member.payment for member in members)]
        return int(self._store.run(Call("batch_again", self._names(batch), args)))

    def add(self, batch: str, members: Sequence[Member]) -> int:
        """Add late payments; return the number of new ones. Raises `Unavailable`."""
        names = self._names(batch) | {"batch_payments": self._store.keys.batch_payments(batch)}
        texts = [member.text(0) for member in members]
        return int(self._store.run(Call("batch_add", names, texts)))

    def turn(self, batch: str, turn: Turn) -> str:
        """Change a batch's state and stage its notification in one step, with its members' counts.

        Returns the state afterwards: the wanted one, or one from which this change is not allowed.
        Raises `CallerError` 404, 429 when it is above a ceiling of its caller, `Unavailable`.
        """
        for _ in range(MAX_RACES):
            read = self.read(batch)
            if not turn.when(read):
                return read.state
            ceilings = turn.counts(read) if read.state in turn.start else ()
            outcome = self._store.run(self._turning(read, turn, ceilings))
            if isinstance(outcome, int):
                raise ceiling_reached(ceilings, outcome)
            if outcome != "moved":
                return turn.to if outcome == "turned" else str(outcome)
        raise Unavailable("The batch changed too often; try again.", code="batch_moving")

    def _turning(self, read: BatchRecord, turn: Turn, ceilings: Sequence[Ceiling]) -> Call:
        fields = turn.fields | ({"done_before": str(read.done)} if turn.resumes else {})
        stays = {name: text for name, text in read.fields.items() if name not in turn.drop}
        after = BatchRecord(read.id, stays | fields | {"state": turn.to})
        notification = self._notification(after, turn.tells) if turn.tells else None
        plan = {
            "id": read.id,
            "revision": read.fields.get("revision", "0"),
            "from": turn.start,
            "to": turn.to,
            "fields": fields,
            "drop": turn.drop,
            "resumed": turn.resumes,
            "active": turn.active,
            "keep_ms": self._retention_ms if turn.ends else 0,
            "guard_ms": GUARD_MS,
            "open_ms": OPEN_MS,
        }
        plan |= _counted(ceilings) | _audited(turn.audit)
        plan |= {"notification": notification} if notification else {}
        keys = self._store.keys
        names = self._names(read.id) | self._telling(
            read.id, str(notification["id"]) if notification else "none"
        )
        names |= {
            "active_batches": keys.active_batches(),
            "batch_payments": keys.batch_payments(read.id),
            "audit": keys.audit(),
            "idempotency": keys.idempotency(turn.request),
            "spending": spending_keys(keys, ceilings),
        }
        return Call("batch_turn", names, [NOTIFICATIONS.message, compact(plan)])

    def _names(self, batch: str) -> dict[str, str | Sequence[str]]:
        keys = self._store.keys
        return {
            "batch": keys.batch(batch),
            "batch_members": keys.batch_members(batch),
            "batch_places": keys.batch_places(batch),
        }

    def _telling(self, batch: str, notification: str) -> dict[str, str | Sequence[str]]:
        keys, kind = self._store.keys, NOTIFICATIONS
        return {
            "notification_item": keys.item(kind, notification),
            "notification_due": keys.due(kind),
            "notification_queue": keys.queue(kind),
            "notification_index": keys.index(kind),
            "breaker": keys.breaker(),
            "outbox": keys.outbox(batch),
        }

    def _notification(self, batch: BatchRecord, type_: str) -> Json:
        now = self._store.now_ms() // 1000
        return batch_notification(batch, type_, now, livemode=self._settings.livemode)


def _counted(ceilings: Sequence[Ceiling]) -> Json:
    return {"ceilings": [one.in_script for one in ceilings], "hour_ms": COUNTED_MS}


def _audited(entries: Sequence[str]) -> Json:
    return {"audit": entries, "audit_limit": AUDIT_LIMIT}


def count_fields(members: Sequence[Member]) -> dict[str, str]:
    """Count new members and their amounts by state, in the fields that the scripts update."""
    sums: dict[str, int] = {}
    for member in members:
        for name, by in ((f"count:{member.state}", 1), (member.sum_name, member.amount)):
            sums[name] = sums.get(name, 0) + by
    return {name: str(value) for name, value in sums.items() if value}
