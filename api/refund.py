"""Refunds: queue one, look at one, verify one."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from flask import Response, jsonify
from werkzeug.http import parse_dict_header

from api.idempotency import Answer, IdempotentRequest
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
from api.money import ALWAYS, ON_POST, money_blueprint
from api.parts import parts
from api.problems import documented
from api.requests import trace
from shared.errors import CallerError, Unavailable
from shared.work.refund_jobs import JOB_PREFIX, OPEN_STATES, RefundRequest, job_id

Json = dict[str, Any]
refunds = money_blueprint("refund")
LONGEST_WAIT_SECONDS = 30
NOT_BEGUN = {"attempts": "0"}
# Between two looks at a job that someone waits for; one look costs Redis about 50 us.
LOOK_SECONDS = 0.05


@refunds.post(
    "/process",
    responses={200: Refund, 202: Refund, **documented(409), **ON_POST},
)
def process(header: RefundHeaders, body: ProcessRefund) -> Response:
    """Queue a refund (202), or with `Prefer: wait=N` wait up to N seconds for its result (200)."""
    wait = wait_seconds(header.prefer or "")
    response = idempotently(
        header, body.model_dump(), lambda asked: _queue(header, body, asked, wait)
    )
    job = (response.get_json() or {}).get("refund_request_id")
    if job:
        response.headers["Location"] = f"/api/refund/{job}"
    if wait and response.status_code == 200:  # noqa: PLR2004 - an HTTP status
        response.headers["Preference-Applied"] = f"wait={wait}"
    return response


def _queue(
    header: RefundHeaders, body: ProcessRefund, asked: IdempotentRequest, wait: int
) -> Answer:
    job = job_id(asked.scope, asked.key)
    asked_for = RefundRequest(
        payment_intent_id=body.payment_intent_id,
        amount=body.amount,
        reason=body.reason,
        metadata=body.metadata,
        account=header.stripe_account,
    )
    parts().refund_jobs.record(job, asked_for, **trace())
    finished = _wait(job, wait) if wait else None
    if finished is None:
        # As it was recorded, though a worker may be at it by now.
        return Answer(202, _job(parts().refund_jobs.read(job) | {"state": "queued"} | NOT_BEGUN))
    return Answer(200, _job(finished))


def _wait(job: str, seconds: int) -> dict[str, str] | None:
    """Wait for the job's end, if there is a free place to wait; None when it has not come."""
    room = parts().waiting_room
    if not room.acquire(blocking=False):
        return None
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            fields = parts().refund_jobs.read(job)
            if fields["state"] not in OPEN_STATES:
                return fields if fields["state"] == "finished" else None
            time.sleep(LOOK_SECONDS)
        return None
    finally:
        room.release()


@refunds.get("/<id:refund_id>", responses={200: Refund, **documented(400, 404), **ALWAYS})
def details(header: AccountHeader, path: RefundPath) -> Response:
    """Tell how a refund stands, by Stripe's id or by our request's."""
    return jsonify(look_up(path.refund_id, header.stripe_account))


@refunds.post("/verify", responses={200: RefundVerdict, **documented(404), **ON_POST})
def verify(header: AccountHeader, body: VerifyRefund) -> Response:
    """Say whether a refund succeeded."""
    refund = look_up(body.refund_id, header.stripe_account)
    return jsonify(refund | {"verified": refund["status"] == "succeeded"})


def look_up(refund_id: str, account: str | None) -> Json:
    """Tell how a refund stands. Raises `CallerError` 404; `Unavailable` when only Stripe knows."""
    if not re.fullmatch(REFUND_ID, refund_id):
        raise CallerError("No such refund.", status=404, code="refund_not_found")
    if not refund_id.startswith(JOB_PREFIX):
        return shape_refund(parts().gateway.refund(refund_id, account))
    fields = parts().refund_jobs.read(refund_id)
    if "refund_id" not in fields:
        return _job(fields)
    try:
        found = parts().gateway.refund(fields["refund_id"], fields.get("account"))
    except Unavailable:
        return _job(fields)
    return _job(fields | {"result": json.dumps(found)})


def shape_refund(refund: Json) -> Json:
    """Shape Stripe's refund, with the request of ours it came from if it did."""
    job = parts().refund_jobs.job_of(refund["id"])
    attempts = parts().refund_jobs.attempts(job) if job else 0
    return refund_from_stripe(refund, job=job, attempts=attempts)


def _job(fields: dict[str, str]) -> Json:
    """Shape a job: what Stripe says of its refund, or what was asked for until there is one."""
    attempts = int(fields.get("attempts", 0))
    if "result" in fields:
        return refund_from_stripe(json.loads(fields["result"]), job=fields["id"], attempts=attempts)
    asked = json.loads(fields["request"])
    failed = "failure_code" in fields
    # A dead letter is nobody's verdict: its outcome is unknown until an operator decides.
    status = "failed" if failed else OPEN_STATES.get(fields["state"], "processing")
    return {
        "refund_request_id": fields["id"],
        "refund_id": None,
        "status": status,
        "amount": asked.get("amount"),
        "currency": None,
        "reason": asked.get("reason"),
        "payment_intent_id": asked["payment_intent"],
        "charge_id": None,
        "failure_reason": fields.get("failure_code"),
        "attempts": attempts,
        "created": int(fields["recorded_at"]) // 1000 if "recorded_at" in fields else None,
        "metadata": asked.get("metadata") or {},
    }


def refund_from_stripe(refund: Json, *, job: str | None = None, attempts: int = 0) -> Json:
    """Shape Stripe's refund into our answer."""
    return {
        "refund_request_id": job,
        "refund_id": refund["id"],
        "status": refund["status"],
        "amount": refund["amount"],
        "currency": refund["currency"],
        "reason": refund.get("reason"),
        "payment_intent_id": refund.get("payment_intent"),
        "charge_id": refund.get("charge") or refund.get("charge_id"),
        "failure_reason": refund.get("failure_reason"),
        "attempts": attempts,
        "created": refund.get("created"),
        "metadata": refund.get("metadata") or {},
    }


def wait_seconds(prefer: str) -> int:
    """Read `wait` from a Prefer header (RFC 7240), bounded; 0 when it is not asked for."""
    asked = {name.lower(): value or "" for name, value in parse_dict_header(prefer).items()}
    seconds = asked.get("wait", "").partition(";")[0].strip()
    # Nobody waits for longer than nine digits of seconds.
    return min(int(seconds[:9]), LONGEST_WAIT_SECONDS) if re.fullmatch(r"\d+", seconds) else 0
