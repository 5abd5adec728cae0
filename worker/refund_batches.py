"""The duty of upkeep for batches of refunds: settle ended members, begin others, change states.

Each step is one script that is safe to repeat, so that a process may die between any two of them.
Members become refund jobs at an even pace, the rate that the budget of calls to Stripe allows: so
the queue of refunds stays short for others, no refund is put off by the budget (which would cost as
much as a call), and a pause takes effect soon.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, cast

from shared.deadline import deadline
from shared.errors import CallerError, Misconfigured, OverBudget, Unavailable
from shared.known_refunds import latest
from shared.payment_summary import PaymentSummary, summarise
from shared.refund_terms import LEFT_OUT_BY_STRIPE, LeftOut, Rate, funds, rates, share
from shared.settings import Settings
from shared.store.scripts import Call, redis_errors
from shared.stripe.amounts import refund_outcome
from shared.telemetry.logging import get_logger
from shared.work.batch import OPEN, BatchRecord, BatchState, Member, MemberState, settles
from shared.work.batch_turns import COMPLETE, END_CANCELED, PAUSE, RESUME, Turn, is_through
from shared.work.kinds import REFUNDS
from shared.work.payment_index import PaymentFilter
from shared.work.payments import PaymentRecord
from shared.work.refund_jobs import RefundRequest
from shared.work.stripe_budget import Priority, bucket
from worker.runtime import Runtime

log = get_logger(__name__)
Json = dict[str, Any]
DUTY = "refund_batches"
# Refund jobs of batches that are in progress at a time: as many as the budget allows in this time,
# within which their ends are settled. More would only be put off and tried again.
WINDOW_SECONDS = 2.0
MOST_BEGUN = 500
# Ended jobs that one run settles, and members reset or woken at a time; each takes Redis some
# milliseconds.
CHUNK = 500
# Pause between two runs while a batch is in progress, and while none is.
BUSY_SECONDS = 0.25
IDLE_SECONDS = 15.0
# Pause between two checks of a balance that was too low, in units of the settings' retry step.
LOOK_FACTOR = 30
# Pause between a resume and the first such check, in the same units: refunds are tried meanwhile.
TRY_FACTOR = 10
# Stripe answers in a tenth of it; a slow answer holds up the other batches for no longer.
BALANCE_SECONDS = 2.0
INSUFFICIENT_FUNDS = "insufficient_funds"
JOB_FIELDS = (
    "batch_id",
    "payment_id",
    "state",
    "request",
    "result",
    "failure_code",
    "failure_message",
    "pending_reason",
)


@dataclass(frozen=True)
class Pace:
    """How many members of a batch may be begun at a time, and the ms between two of them."""

    window: int
    ms: float


def run_once(runtime: Runtime) -> float:
    """Take the next step of every batch; return the pause until the next run in seconds.

    Raises `Unavailable`; steps taken before that stand.
    """
    ended = _move_members(runtime)
    active = [runtime.batches.find(one) for one in runtime.batches.active()]
    batches = [batch for batch in active if batch is not None]
    pace = _pace(runtime, sum(one.state is BatchState.RUNNING for one in batches))
    for batch in batches:
        _look_after(runtime, batch, pace)
    return BUSY_SECONDS if ended or batches else IDLE_SECONDS


def _pace(runtime: Runtime, running: int) -> Pace:
    """Share the budget's rate between the running batches, or less while processors are short."""
    if not running:
        return Pace(0, 0.0)
    rate = _rate(runtime.settings) * runtime.throttle.share() / running
    return Pace(min(MOST_BEGUN // running, max(1, round(rate * WINDOW_SECONDS))), 1000 / rate)


def _rate(settings: Settings) -> float:
    """Return the refunds per second that the budget allows while no other calls use it."""
    allowed = bucket("refunds", settings.stripe_endpoint_rate_limit, Priority.REFUNDS)
    return float(allowed["rate"])


def _move_members(runtime: Runtime) -> int:
    """Change the states of members whose jobs or refunds ended; return how many ends were read.

    Members that wait for balance are changed last, after their batch is paused. So the batch is
    paused even if this process dies, and the missing amount covers only the members still open.
    """
    ended = runtime.batches.ended(CHUNK)
    by_job: dict[str, list[str]] = defaultdict(list)
    for one in ended:
        by_job[one.partition(":")[0]].append(one)
    jobs = _jobs(runtime, list(by_job))
    records = runtime.payments.read_many([job["payment_id"] or "none" for job in jobs])
    steps, waiting, paused = list[Call](), list[Call](), set[str]()
    for entries, job, record in zip(by_job.values(), jobs, records, strict=True):
        batch, changes = job["batch_id"], standing_of(job, record.known)
        if batch is None:
            _drop(runtime, entries)
            continue
        step = runtime.batches.ending(batch, str(job["payment_id"]), entries, changes)
        if changes["state"] == MemberState.WAITING:
            waiting.append(step)
            paused.add(batch)
        else:
            steps.append(step)
    runtime.batches.end(steps)
    for batch in sorted(paused):
        _pause(runtime, batch)
    runtime.batches.end(waiting)
    return len(ended)


def _drop(runtime: Runtime, entries: Iterable[str]) -> None:
    for entry in entries:
        runtime.batches.drop(entry)


def _jobs(runtime: Runtime, ids: Sequence[str]) -> list[dict[str, str | None]]:
    with redis_errors():
        pipe = runtime.store.redis.pipeline(transaction=False)
        for one in ids:
            pipe.hmget(runtime.store.keys.item(REFUNDS, one), *JOB_FIELDS)
        rows = cast(list[list[str | None]], pipe.execute())
    return [dict(zip(JOB_FIELDS, row, strict=True)) for row in rows]


def standing_of(job: dict[str, str | None], payment_state: Json) -> Json:
    """Return the member's state, from its refund job and the events about its refund; pure.

    The amount is the job's, which is lowered when Stripe says that less is left.
    """
    amount = json.loads(job["request"] or "{}").get("amount")
    return ({"amount": amount} if amount else {}) | _standing(job, payment_state)


def _standing(job: dict[str, str | None], payment_state: Json) -> Json:
    if job["state"] == "dead":
        return {"state": MemberState.DEAD}
    if job["result"]:
        return _of_refund(json.loads(job["result"]), payment_state)
    if job["pending_reason"]:
        return {"state": MemberState.WAITING}
    if job["failure_code"]:
        return _of_refusal(job["failure_code"], job["failure_message"] or "")
    return {"state": MemberState.BEGUN}


def _of_refund(answer: Json, payment_state: Json) -> Json:
    """Return the state from the refund's events, or before any arrived, from Stripe's answer."""
    refund = latest(answer, payment_state)
    state = MemberState(refund_outcome(refund))
    if state is MemberState.PENDING and refund.get("pending_reason") == INSUFFICIENT_FUNDS:
        state = MemberState.WAITING
    failed = state is MemberState.FAILED
    code = str(refund.get("failure_reason") or refund["status"]) if failed else ""
    return {"state": state, "refund_id": str(answer["id"]), "failure_code": code}


def _of_refusal(code: str, message: str) -> Json:
    if reason := LEFT_OUT_BY_STRIPE.get(code):
        return {"state": MemberState.LEFT_OUT, "reason": reason, "amount": 0}
    return {"state": MemberState.FAILED, "failure_code": code, "failure_message": message}


def _look_after(runtime: Runtime, batch: BatchRecord, pace: Pace) -> None:
    if batch.state is BatchState.RUNNING:
        _go_on(runtime, batch, pace)
    elif batch.state is BatchState.CANCELED:
        runtime.batches.turn(batch.id, END_CANCELED)
    elif is_through(batch):
        _complete(runtime, batch)
    elif _lacks_funds(batch):
        _look_at_balance(runtime, batch)


def _go_on(runtime: Runtime, batch: BatchRecord, pace: Pace) -> None:
    """Take the next step of a running batch."""
    if "wake" in batch.fields:
        _wake(runtime, batch)
    if batch.retries:
        _put_back(runtime, batch)
        return
    _begin_next(runtime, batch, pace)
    if is_through(batch):
        _complete(runtime, batch)
    elif _only_waits(batch):
        _pause_for_balance(runtime, batch)


def _begin_next(runtime: Runtime, batch: BatchRecord, pace: Pace) -> None:
    """Begin as many members as there is room for, each with the present state of its payment."""
    room = pace.window - batch.count(MemberState.BEGUN)
    if room <= 0 or not batch.count(MemberState.NOT_BEGUN):
        return
    room = min(room, batch.due_members(runtime.store.now_ms(), pace.ms))
    if room <= 0:
        return
    members = runtime.batches.members(batch.id, MemberState.NOT_BEGUN, None, room)
    records = runtime.payments.read_many([member.payment for member in members])
    steps = [
        _beginning(runtime, batch, member, record, pace.ms)
        for member, record in zip(members, records, strict=True)
    ]
    runtime.batches.begin(steps)


def _beginning(
    runtime: Runtime, batch: BatchRecord, member: Member, record: PaymentRecord, pace_ms: float
) -> Call:
    """Build the step that begins a member, or leaves it out if its payment's state forbids it."""
    if not record.known:
        request = replace(_request(batch, member), expected_currency=member.currency)
        return runtime.batches.beginning(batch, member, request, pace_ms)
    payment = summarise(record.id, record.known)
    now = share(payment, batch.terms)
    if now.left_out:
        return runtime.batches.leaving_out(batch.id, member, now.left_out)
    if payment.currency != member.currency:
        return runtime.batches.leaving_out(batch.id, member, LeftOut.CURRENCY_MISMATCH)
    request = _request(batch, replace(member, amount=min(member.amount, now.amount)))
    return runtime.batches.beginning(batch, member, request, pace_ms)


def _request(batch: BatchRecord, member: Member) -> RefundRequest:
    request = batch.request
    return RefundRequest(
        payment_id=member.payment,
        amount=member.amount,
        reason=request["reason"],
        metadata=request["metadata"],
        account=batch.fields.get("account"),
    )


def _complete(runtime: Runtime, batch: BatchRecord) -> None:
    _last_look(runtime, batch)
    runtime.batches.turn(batch.id, COMPLETE)


def _last_look(runtime: Runtime, batch: BatchRecord) -> None:
    """Add payments that could be refunded only while the batch ran, as late: nobody refunds them.

    They are the event's new payments, and members that were left out, for example because their
    customers had not paid yet.
    """
    for payments in chain(_new_payments(runtime, batch), _left_out_payments(runtime, batch)):
        late = [
            Member(one.id, MemberState.LATE, part.amount, one.currency or "")
            for one in payments
            if not (part := share(one, batch.terms)).left_out
        ]
        if late:
            runtime.batches.add(batch.id, late)


def _new_payments(runtime: Runtime, batch: BatchRecord) -> Iterator[list[PaymentSummary]]:
    """Read the event's payments that are not members, some at a time."""
    event_id = batch.request["event_id"]
    if event_id is None:
        return
    criteria = PaymentFilter(metadata={"event_id": event_id})
    summaries = {one.record.id: one.summary for one in runtime.payment_index.walk(criteria)}
    for ids in _chunks(list(summaries), CHUNK):
        yield [summaries[one] for one in runtime.batches.absent(batch.id, ids)]


def _left_out_payments(runtime: Runtime, batch: BatchRecord) -> Iterator[list[PaymentSummary]]:
    """Read the payments of members that were left out before Stripe was asked, some at a time.

    Those whose currency changed are not among them: the batch planned other money.
    """
    for page in _pages(runtime, batch, MemberState.LEFT_OUT):
        members = [member for member in page if not member.job]
        records = runtime.payments.read_many([member.payment for member in members])
        payments = [summarise(one.id, one.known) for one in records]
        yield [
            payment
            for member, payment in zip(members, payments, strict=True)
            if member.currency in ("", payment.currency)
        ]


def _chunks(values: list[str], size: int) -> Iterable[list[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _wake(runtime: Runtime, batch: BatchRecord) -> None:
    """Make the jobs that wait for balance due now."""
    for members in _pages(runtime, batch, MemberState.WAITING):
        for member in members:
            runtime.refund_jobs.work.wake(member.job)
    runtime.batches.turn(batch.id, _same(drop=("wake",)))


def _put_back(runtime: Runtime, batch: BatchRecord) -> None:
    """Set the members that an operator wants to retry back to not begun."""
    for state, until in batch.retries.items():
        for members in _pages(runtime, batch, state):
            runtime.batches.again(batch.id, state, int(until), members)
        turn = _same(drop=(state.retry,), when=partial(_wants_no_more, state, until))
        runtime.batches.turn(batch.id, turn)


def _pages(runtime: Runtime, batch: BatchRecord, state: MemberState) -> Iterator[list[Member]]:
    """Read all members in a state, some at a time; their state may change meanwhile."""
    after: int | None = None
    while members := runtime.batches.members(batch.id, state, after, CHUNK):
        yield members
        after = members[-1].n


def _wants_no_more(state: MemberState, until: str, batch: BatchRecord) -> bool:
    """Say whether nobody asked again to retry the members of a state meanwhile."""
    return batch.retries.get(state) == until


def _same(**changes: Any) -> Turn:
    return replace(Turn((BatchState.RUNNING,), BatchState.RUNNING), **changes)


def _pause(runtime: Runtime, batch_id: str) -> None:
    """Pause a running batch whose refunds wait for balance, and store how much is missing."""
    batch = runtime.batches.find(batch_id)
    if batch is not None and batch.state is BatchState.RUNNING:
        fields = {"paused_reason": INSUFFICIENT_FUNDS} | _balance_fields(runtime, batch)
        runtime.batches.turn(batch_id, replace(PAUSE, fields=fields))


def _only_waits(batch: BatchRecord) -> bool:
    """Say whether all refunds that are left wait for balance."""
    is_waiting = batch.count(MemberState.WAITING) > 0
    return is_waiting and not batch.count(MemberState.NOT_BEGUN, MemberState.BEGUN)


def _pause_for_balance(runtime: Runtime, batch: BatchRecord) -> None:
    """Pause a batch again that was resumed too early.

    No event says that a refund still waits at Stripe, so the balance is read now and then.
    """
    resumed_at, base_ms = int(batch.fields["resumed_at"]), _base_ms(runtime.settings)
    if runtime.store.now_ms() < int(batch.fields.get("look_at", resumed_at + TRY_FACTOR * base_ms)):
        return
    fields = _balance_fields(runtime, batch)
    turn = _same(fields={"look_at": fields["look_at"]})
    if json.loads(fields["missing"]):
        turn = replace(PAUSE, fields=fields | {"paused_reason": INSUFFICIENT_FUNDS})
    runtime.batches.turn(batch.id, replace(turn, when=_only_waits))


def _look_at_balance(runtime: Runtime, batch: BatchRecord) -> None:
    """Resume a batch when the balance suffices for the rest of it, or check again later.

    Where our key may not read the balance, the batch resumes when none of its refunds waits.
    """
    if runtime.store.now_ms() < int(batch.fields.get("look_at", 0)):
        return
    fields = _balance_fields(runtime, batch)
    missing = json.loads(fields["missing"])
    enough = not batch.count(MemberState.WAITING) if missing is None else not missing
    turn = RESUME if enough else Turn((BatchState.PAUSED,), BatchState.PAUSED, fields=fields)
    runtime.batches.turn(batch.id, replace(turn, when=_lacks_funds))


def _lacks_funds(batch: BatchRecord) -> bool:
    return batch.fields.get("paused_reason") == INSUFFICIENT_FUNDS


def _balance_fields(runtime: Runtime, batch: BatchRecord) -> dict[str, str]:
    """Return fields with the balance that the batch still lacks and the time of the next check."""
    available = _available(runtime, batch.fields.get("account"))
    at_rates = batch.rates | _new_rates(runtime, batch)
    gaps = funds(batch.open_amounts(), at_rates, available)
    missing = {one.currency: one.missing for one in gaps if one.missing != 0}
    is_known = None not in missing.values()
    look_at = runtime.store.now_ms() + LOOK_FACTOR * _base_ms(runtime.settings)
    return {
        "missing": json.dumps(missing if is_known else None),
        "look_at": str(look_at),
        "settles": settles(at_rates),
    }


def _available(runtime: Runtime, account: str | None) -> dict[str, int] | None:
    """Read the balance; None when Stripe does not say it soon: other batches must not wait for it.

    It is read again at the next check.
    """
    try:
        with deadline(BALANCE_SECONDS):
            return runtime.gateway.balance(account)
    except (CallerError, Misconfigured, OverBudget, Unavailable) as error:
        log.warning("balance_not_read", account=account, error=str(error))
        return None


def _new_rates(runtime: Runtime, batch: BatchRecord) -> dict[str, Rate]:
    """Read the rates of currencies that had none when the batch started.

    Stripe says some seconds after a payment into which currency it settles. The members are read
    until each currency has a rate, which may be all of them.
    """
    lacking = {name for name, sum_ in batch.open_amounts().items() if sum_} - batch.rates.keys()
    new: dict[str, Rate] = {}
    for members in chain.from_iterable(_pages(runtime, batch, state) for state in OPEN):
        if not lacking:
            break
        payments = [one.payment for one in members if one.currency in lacking]
        records = runtime.payments.read_many(payments)
        new |= rates(summarise(one.id, one.known) for one in records)
        lacking -= new.keys()
    return new


def _base_ms(settings: Settings) -> int:
    return max(1, round(settings.retry_base_seconds * 1000))
