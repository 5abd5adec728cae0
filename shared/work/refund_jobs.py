"""Refund jobs: recorded and scheduled in one step, run by a worker, safe to run twice.

    queued ─> processing ─> finished (with Stripe's refund, or with the reason it was refused)
                  └─> retrying ─> …   or   dead (nobody knows: an operator decides)

A job's id is made from its idempotency key, so recording the same request again finds the same
job, and Stripe's idempotency key is made from the job's id, so running it again finds the same
refund.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shared.digest_ids import digest_id
from shared.errors import CallerError, Unavailable
from shared.keys import State
from shared.refund_metadata import with_job
from shared.settings import Settings
from shared.store.scripts import Call, Store
from shared.stripe.event import reference
from shared.work.items import Recording, Work, item_id
from shared.work.kinds import REFUNDS
from shared.work.payments import entry

Json = dict[str, Any]
JOB_PREFIX = "rr_"
STRIPE_KEY_PREFIX = "billing-refund-"
# 128 bits: enough that two requests never share a job.
JOB_ID_LENGTH = 32
# Statuses of unfinished jobs in answers to callers.
OPEN_STATES = {"queued": "queued", "retrying": "queued", "processing": "processing"}


@dataclass(frozen=True)
class RefundRequest:
    """A caller's request; `amount` None means all that is left (smallest unit).

    `payment_id` is the payment's intent, or its charge when it has none.
    """

    payment_id: str
    amount: int | None = None
    reason: str | None = None
    metadata: dict[str, str] | None = None
    account: str | None = None
    reverse_transfer: bool | None = None
    refund_application_fee: bool | None = None
    expected_currency: str | None = None

    def params(self, job: str) -> Json:
        """Build the parameters of Stripe's call, which name the job."""
        owner = "payment_intent" if self.payment_id.startswith("pi_") else "charge"
        params = {
            owner: self.payment_id,
            "amount": self.amount,
            "reason": self.reason,
            "metadata": with_job(self.metadata, job),
        }
        flags = {
            "reverse_transfer": self.reverse_transfer,
            "refund_application_fee": self.refund_application_fee,
        }
        choices = {name: flag for name, flag in flags.items() if flag is not None}
        return {name: value for name, value in params.items() if value} | choices


def job_id(scope: str, idempotency_key: str) -> str:
    """Make a job's id from the caller's scope and idempotency key."""
    return digest_id(JOB_PREFIX, f"{scope}\n{idempotency_key}", JOB_ID_LENGTH)


def stripe_key(refund_request_id: str, refusals: int = 0) -> str:
    """Make the idempotency key a job sends to Stripe.

    Stripe stores a refusal with its key and repeats it, so the next try after a refusal that may be
    temporary uses another key.
    """
    return f"{STRIPE_KEY_PREFIX}{refund_request_id}" + (f"-{refusals}" if refusals else "")


def job_of_key(idempotency_key: str) -> str | None:
    """Return the job that sent an idempotency key to Stripe; None when no job did."""
    job = idempotency_key.removeprefix(STRIPE_KEY_PREFIX)
    ours = job != idempotency_key and job.startswith(JOB_PREFIX)
    return job.partition("-")[0] if ours else None


def _fields_of(refund: Json) -> dict[str, str]:
    """Return the fields of the job that made a refund, as far as the refund has them."""
    charge, intent = reference(refund.get("charge")), reference(refund.get("payment_intent"))
    request = {
        "payment_intent" if intent else "charge": intent or charge,
        "amount": refund.get("amount"),
        "reason": refund.get("reason"),
        "metadata": refund.get("metadata"),
    }
    return {
        "type": "refund",
        "payment_id": intent or charge or "",
        "request": json.dumps({name: value for name, value in request.items() if value}),
        "result": json.dumps(refund),
        "attempts": "1",
        "crashes": "0",
        "fence": "0",
    }


class RefundJobs:
    """Record and read refund jobs, and find the job that made a refund."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.work = Work(store, REFUNDS, REFUNDS.lease_ms(settings))
        self._store = store
        self._settings = settings

    def record(self, job: str, request: RefundRequest, **trace: str) -> str:
        """Record and schedule a job in one step; return `recorded` or `known`.

        Raises `Unavailable` when it is not certain that it was recorded, or too many wait.
        """
        timeline_entry = entry(
            "refund_requested",
            refund_request_id=job,
            amount=request.amount,
            reason=request.reason,
        )
        fields = {
            "payment_id": request.payment_id,
            "account": request.account or "",
            "expected_currency": request.expected_currency or "",
            "request": json.dumps(request.params(job)),
            "type": "refund",
        }
        outcome = self.work.record(
            Recording(
                id=job,
                state=State.QUEUED,
                fields={k: v for k, v in (fields | trace).items() if v},
                max_waiting=self._settings.max_waiting_refunds,
                payment_id=request.payment_id,
                entry=timeline_entry,
                timeline_ms=self._settings.payment_retention_seconds * 1000,
            )
        )
        if outcome == "full":
            raise Unavailable(
                "Too many refund jobs are waiting; send this request again later.",
                code="too_many_waiting",
                retry_after_seconds=30,
            )
        return outcome

    def restore(self, job: str, refund: Json, account: str | None) -> bool:
        """Restore a job from the refund it made, if Redis lost it; say whether that was needed.

        A Redis that went back in time, or was emptied, has lost jobs that reached Stripe, and
        callers still read them. Raises `Unavailable`.
        """
        keys, settings = self._store.keys, self._settings
        fields = _fields_of(refund) | {"account": account or ""}
        names = {
            "item": keys.item(REFUNDS, item_id(job)),
            "index": keys.index(REFUNDS),
            "refund_of": keys.refund_of(str(refund["id"])),
        }
        args = [
            job,
            settings.tombstone_retention_seconds * 1000,
            settings.payment_retention_seconds * 1000,
            str(refund["id"]),
            int(refund.get("created") or 0) * 1000,
            *(part for name, value in fields.items() if value for part in (name, value)),
        ]
        return bool(self._store.run(Call("restore", names, args)))

    def read(self, job: str) -> dict[str, str]:
        """Read a job's fields. Raises `CallerError` 404 when there is none."""
        fields = self._store.hash(self._store.keys.item(REFUNDS, item_id(job)))
        if not fields:
            raise CallerError("No refund request has this id.", status=404, code="refund_not_found")
        return fields

    def has_made(self, job: str, refund_id: str) -> bool:
        """Say whether a job is finished and has stored this refund. Raises `Unavailable`."""
        item = self._store.keys.item(REFUNDS, item_id(job))
        return self._store.fields(item, "state", "refund_id") == [State.FINISHED, refund_id]

    def attempts(self, job: str) -> int:
        """Count the attempts at a job; 0 for an unknown one. Raises `Unavailable`."""
        return int(self._store.fields(self._store.keys.item(REFUNDS, job), "attempts")[0] or 0)

    def attempts_and_account(self, job: str) -> tuple[int, str | None]:
        """Count the attempts at a job, and name its connected account if it has one.

        Raises `Unavailable`.
        """
        item = self._store.keys.item(REFUNDS, job)
        attempts, account = self._store.fields(item, "attempts", "account")
        return int(attempts or 0), account

    def job_of(self, refund_id: str) -> str | None:
        """Return the job that made a refund, if one did.

        Raises `Unavailable`.
        """
        return self._store.get(self._store.keys.refund_of(refund_id))

    def remember(self, refund_id: str, job: str) -> None:
        """Store which job made a refund; called before the job is finished.

        Raises `Unavailable`.
        """
        retention = self._settings.payment_retention_seconds
        self._store.put(self._store.keys.refund_of(refund_id), job, retention)
