"""The requests and answers of the operators' lists: refunds, notifications, work, rates."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.models import Output
from api.ops_models import LetterKind, Search

# What is shown of the last day at most, and at first.
LONGEST_HOURS = 24
HOURS = 6


class NotificationSearch(Search):
    """Which notifications; times are when they were recorded."""

    state: Literal["queued", "waiting", "processing", "retrying", "delivered", "dead"] | None = None


class RefundSearch(Search):
    """Which refund jobs; times are when they were requested."""

    status: Literal["queued", "processing", "retrying", "refunded", "failed", "dead"] | None = None


class FindQuery(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(hide_input_in_errors=True)

    text: str = Field(min_length=3, max_length=512, description="An id, an e-mail address, a word.")


class RateQuery(BaseModel):
    """How many hours to go back."""

    hours: int = Field(HOURS, ge=1, le=LONGEST_HOURS)


class ItemRow(Output):
    """What every list of items shows of one; times are RFC 3339."""

    id: str
    payment_id: str | None
    attempts: int
    error: str | None
    recorded_at: str
    next_attempt_at: str | None
    finished_at: str | None


class NotificationRow(ItemRow):
    """A notification as it stands."""

    type: str
    state: str
    sequence: int | None
    is_test: bool


class RefundRow(ItemRow):
    """A refund job as it stands; an amount of null is all that is left."""

    status: str
    refund_id: str | None
    amount: int | None
    currency: str | None
    reason: str | None
    pending_reason: str | None = Field(description="Why it waits, as balance_insufficient.")


class NotificationList(Output):
    """Notifications, newest first; `complete` is false when there may be more."""

    data: list[NotificationRow]
    complete: bool


class RefundList(Output):
    """Refund jobs, newest first; `complete` is false when there may be more."""

    data: list[RefundRow]
    complete: bool


class WorkItem(Output):
    """One piece of work of a payment."""

    kind: LetterKind
    id: str
    type: str | None
    state: str
    attempts: int
    error: str | None
    next_attempt_at: str | None


class PaymentWork(Output):
    """All work of a payment that is still remembered, in the order it came."""

    data: list[WorkItem]


class Match(Output):
    """Something found: `because` says in words how it belongs to what was looked for."""

    kind: Literal["payment", "event", "refund", "item"]
    id: str
    because: str


class MatchList(Output):
    """What was found; `complete` is false when not everything could be looked at."""

    data: list[Match]
    complete: bool


class Delay(Output):
    """Below how many seconds half of the notifications, and 99 of 100, were delivered."""

    p50: float | None
    p99: float | None


class Rates(Output):
    """What was counted in each bucket, oldest first; the last bucket is not over yet."""

    bucket_seconds: int
    since: str
    counts: dict[str, list[int]]
    delays: list[Delay]
    delay: Delay


class Staged(Output):
    """The id of the notification that was staged."""

    id: str
