"""The id of a refund job in the metadata of Stripe's refund, to restore a job that Redis lost.

Callers and the event service see only their own metadata. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

FIELD = "billing_refund_request_id"
# Stripe's limit of pairs; when a caller uses them all, the job's id is left out.
MOST_PAIRS = 50
# Ids of a request or of a member of a batch.
JOB_ID = re.compile(r"rr_[0-9a-z]{32}")


def with_job(metadata: Mapping[str, str] | None, job: str) -> dict[str, str]:
    """Add a job's id to a caller's metadata, if there is room; callers cannot use its name."""
    own = {name: value for name, value in (metadata or {}).items() if name != FIELD}
    return own | {FIELD: job} if len(own) < MOST_PAIRS else own


def job_in(metadata: Mapping[str, Any] | None) -> str | None:
    """Return the id of the refund job in a refund's metadata, or None."""
    job = str((metadata or {}).get(FIELD) or "")
    return job if JOB_ID.fullmatch(job) else None


def callers_own(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a refund's metadata as its caller sent them."""
    own = dict(metadata or {})
    if job_in(own):
        del own[FIELD]
    return own
