"""Routes of refunds: queue one, read one, verify one."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from flask import Response
from werkzeug.http import parse_list_header

from api.access import account_of, require_account
from api.blueprints import ON_GET, ON_POST, money_blueprint
from api.idempotency import IdempotentRequest, KeptAnswer
from api.idempotent import idempotently
from api.models import (
    REFUND_ID,
    AccountHeader,
    ProcessRefund,
    Refund,
    RefundHeaders,
    RefundPath,
    RefundVerdict,
    VerifyRefund,
)
from api.parts import parts
from api.problems import documented
from api.refund_answers import refund_of_job, refund_with_job
from api.refund_ceiling import check_ceiling
from api.reply import reply
from api.request_context import trace
from shared.errors import CallerError, Unavailable
from shared.work.refund_jobs import JOB_PREFIX, OPEN_STATES, RefundRequest, job_id

Json = dict[str, Any]
refunds = money_blueprint("refund")
LONGEST_WAIT_SECONDS = 30
NOT_BEGUN = {"attempts": "0"}
# Seconds between two reads of a job while a request waits for it; a read costs Redis about 50 us.
LOOK_SECONDS = 0.05


@refunds.post(
    "/process",
    responses={200: Refund, 202: Refund, **documented(404, 409), **ON_POST},
)
def process(header: RefundHeaders, body: ProcessRefund) -> Response:
    """Queue a refund (202), or with `Prefer: wait=N` wait up to N seconds for its result (200)."""
    wait = wait_seconds(header.prefer or "")
    response = idempotently(
        header, body.model_dump(), lambda keyed_request: _queue(header, body, keyed_request, wait)
    )
    job = (response.get_json() or {}).get("refund_request_id")
    if job:
        response.headers["Location"] = f"/api/refund/{job}"
    if wait and response.status_code == 200:  # noqa: PLR2004 - an HTTP status
        response.headers["Preference-Applied"] = f"wait={wait}"
    return response


def _queue(
    header: RefundHeaders, body: ProcessRefund, keyed_request: IdempotentRequest, wait: int
) -> KeptAnswer:
    job = job_id(keyed_request.scope, keyed_request.key)
    owner_id = body.payment_intent_id
    payment_id = parts().payments.intent_of(owner_id) or owner_id
    account = account_of(payment_id, header.stripe_account)
    refund_request = RefundRequest(
        payment_id=payment_id,
        amount=body.amount,
        reason=body.reason,
        metadata=body.metadata,
        account=account,
        reverse_transfer=body.reverse_transfer,
        refund_application_fee=body.refund_application_fee,
        expected_currency=body.expected_currency,
    )
    check_ceiling(keyed_request, refund_request)
    parts().refund_jobs.record(job, refund_request, **trace())
    finished = _wait(job, wait) if wait else None
    if finished is None:
        # The job as it was recorded, though a worker may have claimed it by now.
        fields = parts().refund_jobs.read(job) | {"state": "queued"} | NOT_BEGUN
        return KeptAnswer(202, refund_of_job(fields).model_dump(mode="json"))
    return KeptAnswer(200, refund_of_job(finished).model_dump(mode="json"))


def _wait(job: str, seconds: int) -> dict[str, str] | None:
    """Wait for the job's end, if there is a free place to wait; None when it has not ended."""
    room = parts().waiting_room
    if not room.acquire(blocking=False):
        return None
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            fields = parts().refund_jobs.read(job)
            if fields["state"] not in OPEN_STATES:
                return fields if fields["state"] == "finished" else None
            if parts().draining.wait(LOOK_SECONDS):
                return None
        return None
    finally:
        room.release()


@refunds.get("/<id:refund_id>", responses={200: Refund, **documented(400, 404), **ON_GET})
def details(header: AccountHeader, path: RefundPath) -> Response:
    """Read a refund by Stripe's id, or by the id of its refund job."""
    return reply(look_up(path.refund_id, header.stripe_account))


@refunds.post("/verify", responses={200: RefundVerdict, **documented(404), **ON_POST})
def verify(header: AccountHeader, body: VerifyRefund) -> Response:
    """Check whether a refund succeeded."""
    refund = look_up(body.refund_id, header.stripe_account)
    return reply(RefundVerdict(**dict(refund), verified=refund.status == "succeeded"))


def look_up(refund_id: str, account: str | None) -> Refund:
    """Read a refund. Raises `CallerError` 404, `Unavailable` when only Stripe has it."""
    if not re.fullmatch(REFUND_ID, refund_id):
        raise CallerError("No refund has this id.", status=404, code="refund_not_found")
    if not refund_id.startswith(JOB_PREFIX):
        return refund_with_job(_by_stripes_id(refund_id, account))
    fields = parts().refund_jobs.read(refund_id)
    require_account(fields.get("account"))
    if "refund_id" not in fields:
        return refund_of_job(fields)
    try:
        refund = parts().gateway.refund(fields["refund_id"], fields.get("account"))
    except Unavailable:
        return refund_of_job(fields)
    return refund_of_job(fields | {"result": json.dumps(refund)})


def _by_stripes_id(refund_id: str, account: str | None) -> Json:
    """Read a refund from Stripe; without a named account, from the account of its job."""
    job = None if account else parts().refund_jobs.job_of(refund_id)
    if job:
        _, account = parts().refund_jobs.attempts_and_account(job)
    require_account(account)
    return parts().gateway.refund(refund_id, account)


def wait_seconds(prefer: str) -> int:
    """Read the first `wait` from a Prefer header (RFC 7240), bounded; 0 without it."""
    pairs = [one.partition("=") for one in parse_list_header(prefer)]
    waits = [value for name, _, value in pairs if name.strip().lower() == "wait"]
    seconds = waits[0].partition(";")[0].strip().strip('"') if waits else ""
    # Nobody waits for longer than nine digits of seconds.
    return min(int(seconds[:9]), LONGEST_WAIT_SECONDS) if re.fullmatch(r"\d+", seconds) else 0
