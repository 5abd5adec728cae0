"""Routes of batches of refunds: dry run, start, read, pause, resume, cancel, retry.

These routes also accept an operator's key, which may start batches that are too large for a
caller's key, and read those of all callers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from flask import Response, g, request
from pydantic import ValidationError

from api.access import require_caller_or_operator
from api.batch_answers import batch_answer, dry_run_answer, member_answer
from api.batch_models import (
    BATCH_ID,
    Batch,
    BatchList,
    BatchPath,
    BatchQuery,
    DryRun,
    MemberPage,
    MemberQuery,
    NoFields,
    RetryBatch,
    StartBatch,
)
from api.batch_plan import Plan, is_above_limits, needs_operator, plan_batch
from api.blueprints import ON_GET, ON_POST, guarded_blueprint
from api.idempotency import IdempotentRequest, KeptAnswer
from api.idempotent import idempotently
from api.models import AccountHeader, KeyHeader, MoneyHeaders
from api.parts import parts
from api.problems import documented, from_validation
from api.redrive import AuditNote
from api.refund_ceiling import ceilings_of, require_room
from api.reply import reply
from api.request_context import trace
from shared.canonical_json import compact
from shared.errors import CallerError
from shared.refund_terms import Terms
from shared.work.batch import BatchRecord, BatchState, MemberState, settles
from shared.work.batch_turns import CANCEL, PAUSE, RESUME, RETRY, Turn
from shared.work.batches import Batches, NewBatch, batch_id
from shared.work.ceilings import Ceiling
from shared.work.items import Work
from shared.work.kinds import UPKEEP

Json = dict[str, Any]
DUTY = "refund_batches"
REQUESTED = "requested"
STOP = replace(
    PAUSE,
    start=(BatchState.RUNNING, BatchState.PAUSED),
    when=lambda batch: batch.fields.get("paused_reason") != REQUESTED,
    fields={"paused_reason": REQUESTED},
    drop=("missing", "look_at"),
)
# The body is optional, which the library cannot document; so it is documented by hand.
DOCUMENTED: Json = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": RetryBatch.model_json_schema()}},
    }
}
batches = guarded_blueprint("refund_batch", "/api/refund/batches", require_caller_or_operator)


@batches.post("", responses={200: DryRun, 202: Batch, **documented(409), **ON_POST})
def start(header: MoneyHeaders, body: StartBatch) -> Response:
    """Start a batch of refunds (202); with `dry_run` show the refunds only (200)."""
    if body.dry_run:
        return reply(_dry_run(header, body))
    response = idempotently(
        header, body.model_dump(mode="json"), lambda attempt: _start(header, body, attempt)
    )
    started = (response.get_json() or {}).get("batch_id")
    if started:
        response.headers["Location"] = f"/api/refund/batches/{started}"
    return response


def _dry_run(header: AccountHeader, body: StartBatch) -> DryRun:
    terms = _terms(header, body)
    plan = plan_batch(body, terms)
    available = parts().gateway.balance(terms.account or None)
    return dry_run_answer(
        plan, available, needs_operator=needs_operator(plan), refusal=_refusal(plan)
    )


def _refusal(plan: Plan) -> CallerError | None:
    """Return the error with which this key's start of the batch would be answered now."""
    try:
        _require_allowed(plan)
        require_room(ceilings_of(plan.amounts()))
    except CallerError as refusal:
        return refusal
    return None


def _start(header: AccountHeader, body: StartBatch, attempt: IdempotentRequest) -> KeptAnswer:
    new, terms = batch_id(attempt.scope, attempt.key), _terms(header, body)
    if _all().find(new) is None:
        plan = plan_batch(body, terms)
        _require_allowed(plan)
        ceilings = ceilings_of(plan.amounts())
        fields = _fields(body, terms, plan) | trace()
        audit = _audit("refund_batch_started", new)
        _all().record(NewBatch(new, fields, plan.members, ceilings, audit))
    _hasten()
    return KeptAnswer(202, batch_answer(_all().read(new)).model_dump(mode="json"))


def _terms(header: AccountHeader, body: StartBatch) -> Terms:
    return Terms(
        percent=body.percent,
        amount=body.amount,
        keep_fee=body.keep_fee,
        currency=body.expected_currency,
        account=header.stripe_account or "",
    )


def _require_allowed(plan: Plan) -> None:
    """Refuse a batch that refunds nothing, or more than this key may. Raises `CallerError`."""
    if not plan.refunded:
        reasons = Counter(member.reason for member in plan.left_out)
        why = "None of these payments can be refunded; dry_run says why."
        raise CallerError(
            why if plan.members else "No payment of this event is known here.",
            status=422,
            code="nothing_to_refund",
            left_out=dict(reasons),
        )
    if needs_operator(plan) and not g.is_operator:
        raise _needs_operator()


def _late_ceilings(states: Set[MemberState], batch: BatchRecord) -> list[Ceiling]:
    """Return what the late payments count against, because the started batch did not include them.

    Nothing when their retry was requested before. Raises `CallerError` 403.
    """
    if MemberState.LATE not in states - batch.retries.keys():
        return []
    amounts = {
        name: sums[MemberState.LATE]
        for name, sums in batch.amounts.items()
        if MemberState.LATE in sums
    }
    if is_above_limits(batch.count(MemberState.LATE), amounts) and not g.is_operator:
        raise _needs_operator()
    return ceilings_of(amounts)


def _needs_operator() -> CallerError:
    return CallerError(
        "A batch of this size needs an operator's key (OPERATOR_KEYS).",
        status=403,
        code="operator_key_required",
    )


def _fields(body: StartBatch, terms: Terms, plan: Plan) -> dict[str, str]:
    conditions = terms.as_json() | {
        "event_id": body.event_id,
        "reason": body.reason,
        "metadata": body.metadata,
    }
    return {
        "terms": compact(conditions),
        "settles": settles(plan.rates),
        "caller": g.caller,
        "account": terms.account,
    }


@batches.get("", responses={200: BatchList, **ON_GET})
def listed(query: BatchQuery) -> Response:
    """List the batches this key may see, the newest first."""
    visible = (
        batch
        for batch in _all().walk()
        if _may_see(batch) and query.event_id in (None, batch.request["event_id"])
    )
    return reply(BatchList(data=[batch_answer(one) for one in islice(visible, query.limit)]))


@batches.get("/<batch_id>", responses={200: Batch, **documented(404), **ON_GET})
def details(path: BatchPath) -> Response:
    """Read the state of a batch."""
    return reply(batch_answer(_one(path)))


@batches.get("/<batch_id>/refunds", responses={200: MemberPage, **documented(400, 404), **ON_GET})
def members(path: BatchPath, query: MemberQuery) -> Response:
    """List the payments of a batch in their order, in one status or in all.

    While the batch runs, a payment may change its status between two pages; a list of all statuses
    has each payment once.
    """
    batch, after = _one(path), None
    if query.starting_after is not None:
        after = _all().number_of(batch.id, query.starting_after)
    state = MemberState(query.status) if query.status else None
    page_members = _all().members(batch.id, state, after, query.limit + 1)
    page = [member_answer(member) for member in page_members[: query.limit]]
    return reply(MemberPage(data=page, has_more=len(page_members) > query.limit))


@batches.post("/<batch_id>/pause", responses={200: Batch, **documented(404, 409), **ON_POST})
def pause(header: KeyHeader, path: BatchPath) -> Response:
    """Begin no more refunds until the batch is resumed; refunds that have begun are completed."""
    return _turn_alone(header, path, STOP)


@batches.post("/<batch_id>/resume", responses={200: Batch, **documented(404, 409), **ON_POST})
def resume(header: KeyHeader, path: BatchPath) -> Response:
    """Continue a paused batch, whatever paused it."""
    return _turn_alone(header, path, RESUME)


@batches.post("/<batch_id>/cancel", responses={200: Batch, **documented(404, 409), **ON_POST})
def cancel(header: KeyHeader, path: BatchPath) -> Response:
    """Begin no more refunds, for good; refunds that have begun are completed."""
    return _turn_alone(header, path, CANCEL)


@batches.post(
    "/<batch_id>/retry",
    responses={200: Batch, **documented(404, 409), **ON_POST},
    openapi_extensions=DOCUMENTED,
)
def retry(header: KeyHeader, path: BatchPath) -> Response:
    """Refund the failed members once more, or refund the late ones."""
    try:
        body = RetryBatch.model_validate(request.get_json(silent=True) or {})
    except ValidationError as error:
        return from_validation(error)
    states = frozenset(map(MemberState, body.include))
    return _turn_once(header, path, once_more(states), states)


def once_more(states: Set[MemberState]) -> Turn:
    """Build the change by which the members in these states are refunded once more."""
    until_ms = str(parts().store.now_ms())
    fields = {state.retry: until_ms for state in states}
    return replace(RETRY, fields=fields, counts=partial(_late_ceilings, states))


def _turn_alone(header: KeyHeader, path: BatchPath, turn: Turn) -> Response:
    """Change the state of a batch by a request that has no field."""
    try:
        NoFields.model_validate(request.get_json(silent=True) or {})
    except ValidationError as error:
        return from_validation(error)
    return _turn_once(header, path, turn)


def _turn_once(
    header: KeyHeader, path: BatchPath, turn: Turn, states: Set[MemberState] = frozenset()
) -> Response:
    """Change the state of a batch once for each `Idempotency-Key`, and answer with the batch."""
    body: Json = {"include": sorted(states)} if states else {}
    return idempotently(header, body, lambda attempt: change(path, turn, attempt, states))


def change(
    path: BatchPath, turn: Turn, attempt: IdempotentRequest, states: Set[MemberState] = frozenset()
) -> KeptAnswer:
    """Change the state of a batch, unless this request did so before a process died.

    `states` are those of members to refund once more. A batch that is in the state already is no
    error. Raises `CallerError` 403, 404, 409, 429, and `Unavailable`.
    """
    batch = _one(path)
    if not parts().idempotency.is_done(attempt):
        if states and batch.count(*states) == 0 and not batch.retries:
            raise CallerError(
                "No payment of this batch can be refunded once more.",
                status=409,
                code="nothing_to_retry",
            )
        audit = _audit(f"refund_batch_{request.path.rpartition('/')[2]}", batch.id)
        outcome = _all().turn(batch.id, replace(turn, audit=audit, request=attempt.digest))
        if outcome != turn.to:
            raise CallerError(
                f"This batch is {outcome}.",
                status=409,
                code="batch_unexpected_state",
                state=outcome,
            )
    _hasten()
    return KeptAnswer(200, batch_answer(_all().read(batch.id)).model_dump(mode="json"))


def _one(path: BatchPath) -> BatchRecord:
    """Read the batch in the path. Raises `CallerError` 404, also for another caller's."""
    if re.fullmatch(BATCH_ID, path.batch_id):
        batch = _all().find(path.batch_id)
        if batch is not None and _may_see(batch):
            return batch
    raise CallerError("No batch has this id.", status=404, code="batch_not_found")


def _may_see(batch: BatchRecord) -> bool:
    return bool(g.is_operator or batch.fields["caller"] == g.caller)


def _all() -> Batches:
    return parts().batches


def _audit(action: str, batch: str) -> list[str]:
    """Build the entry of the audit log; a caller's actions, which are in the batch, have none."""
    if not g.is_operator:
        return []
    note = AuditNote(key=g.caller, operator=g.get("operator", ""))
    return [compact(note.entry(action, id=batch))]


def _hasten() -> None:
    """Ask a worker to advance the batches now instead of at the next interval."""
    Work(parts().store, UPKEEP).hasten(DUTY)
