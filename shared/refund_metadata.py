"""Our request's id in the metadata of Stripe's refund: what finds a job again that Redis lost.

Callers and the event service see their own metadata only. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

FIELD = "billing_refund_request_id"
# Stripe takes so many pairs; a caller who uses them all does without a way back.
MOST_PAIRS = 50
# Of a request or of a member of a batch.
JOB_ID = re.compile(r"rr_[0-9a-z]{32}")


def with_job(metadata: Mapping[str, str] | None, job: str) -> dict[str, str]:
    """Add a job's id to a caller's metadata, unless there is no room; the name is ours alone."""
    given = {name: value for name, value in (metadata or {}).items() if name != FIELD}
    return given | {FIELD: job} if len(given) < MOST_PAIRS else given


def job_in(metadata: Mapping[str, Any] | None) -> str | None:
    """Name the job that a refund's metadata says it came from; None where they say none."""
    job = str((metadata or {}).get(FIELD) or "")
    return job if JOB_ID.fullmatch(job) else None


def callers_own(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give a refund's metadata as its caller gave them."""
    given = dict(metadata or {})
    if job_in(given):
        del given[FIELD]
    return given
