"""The requests and answers of the operators' lists: refunds, notifications, work, rates."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.models import Output, Parameters, WholeNumber
from api.ops_models import LetterKind, Search

# Hours: the longest period of the rates, and the default.
LONGEST_HOURS = 24
HOURS = 6


class NotificationSearch(Search):
    """A filter of notifications; times are when they were recorded."""

    state: Literal["queued", "waiting", "processing", "retrying", "delivered", "dead"] | None = None


class RefundSearch(Search):
    """A filter of refund jobs; times are when they were requested."""

    status: (
        Literal["queued", "processing", "retrying", "pending", "refunded", "failed", "dead"] | None
    ) = None


class FindQuery(Parameters):
    """The text to find."""

    model_config = ConfigDict(hide_input_in_errors=True)

    text: str = Field(min_length=3, max_length=512, description="An id, an e-mail address, a word.")


class RateQuery(Parameters):
    """The number of hours to show."""

    hours: WholeNumber = Field(HOURS, ge=1, le=LONGEST_HOURS)


class ItemRow(Output):
    """The fields of an item in every list; times are RFC 3339."""

    id: str
    payment_id: str | None
    attempts: int
    error: str | None
    recorded_at: str
    next_attempt_at: str | None
    finished_at: str | None


class NotificationRow(ItemRow):
    """The current state of a notification."""

    type: str
    state: str
    sequence: int | None
    is_test: bool


class RefundRow(ItemRow):
    """The current state of a refund job; an amount of null means all that is left."""

    status: str
    refund_id: str | None
    amount: int | None
    currency: str | None
    reason: str | None
    pending_reason: str | None = Field(
        description="Why the refund waits, for example balance_insufficient."
    )


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
    """All stored work of a payment, in the order in which it came."""

    data: list[WorkItem]


class Match(Output):
    """A match; `because` explains in words how it belongs to the text."""

    kind: Literal["payment", "event", "refund", "item"]
    id: str
    because: str


class MatchList(Output):
    """The matches; `complete` is false when the search did not read everything."""

    data: list[Match]
    complete: bool


class Delay(Output):
    """Seconds within which half of the notifications, and 99 of 100, were delivered."""

    p50: float | None
    p99: float | None


class Rates(Output):
    """Counts in each bucket of time, oldest first; the last bucket is not complete yet."""

    bucket_seconds: int
    since: str
    counts: dict[str, list[int]]
    delays: list[Delay]
    delay: Delay


class Staged(Output):
    """The id of the notification that was staged."""

    id: str
