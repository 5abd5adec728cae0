"""The requests and answers of `/ops`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from api.models import REFUND_ID, Input, Output, Parameters, WholeNumber
from api.redrive import MOST_AT_ONCE

# Rows of a page: the default and the most.
PAGE = 50
LONGEST_PAGE = 1_000
LetterKind = Literal["events", "refunds", "notifications"]
ITEM_ID = r"^(evt|rr|ntf)_[A-Za-z0-9_]{1,120}$"
ACCOUNT_ID = r"^acct_[A-Za-z0-9]{1,120}$"


def _rfc3339(value: object) -> object:
    """Refuse a bare number, which pydantic reads as Unix time."""
    if isinstance(value, str) and "T" in value.upper():
        return value
    raise ValueError("must be a date and time of RFC 3339, with a time zone")


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]


class Search(Parameters):
    """The filters of every search; an item must match all of them."""

    model_config = ConfigDict(hide_input_in_errors=True)

    type: str | None = Field(None, max_length=100, description="A pattern: `payment_intent.*`.")
    error: str | None = Field(
        None, max_length=200, description="A part of the last error; case is ignored."
    )
    payment_id: str | None = Field(None, max_length=128)
    since: Moment | None = Field(None, description="RFC 3339, with a time zone.")
    until: Moment | None = Field(None, description="RFC 3339, with a time zone.")
    limit: WholeNumber = Field(PAGE, ge=1, le=LONGEST_PAGE)


class LetterSearch(Search):
    """Filters of dead letters; times are when they were given up."""

    kind: LetterKind | None = None


class EventSearch(Search):
    """Filters of events; times are when they were recorded."""

    state: Literal["received", "processing", "retrying", "processed", "ignored", "dead"] | None = (
        None
    )


class ItemPath(BaseModel):
    """An event (`evt_`), a refund job (`rr_`) or a notification (`ntf_`)."""

    item_id: str = Field(json_schema_extra={"pattern": ITEM_ID})


class JobPath(BaseModel):
    """A refund job."""

    job: str = Field(json_schema_extra={"pattern": r"^rr_[A-Za-z0-9_]{1,120}$"})


class OpsRefundPath(BaseModel):
    """A refund (`re_`) or a refund job (`rr_`)."""

    refund_id: str = Field(json_schema_extra={"pattern": REFUND_ID})


class OpsPaymentPath(BaseModel):
    """A payment (`pi_`; `ch_` or `cs_` for one without a payment intent)."""

    payment_id: str = Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_]{3,128}$"})


class Limit(Parameters):
    """The length of a page."""

    limit: WholeNumber = Field(PAGE, ge=1, le=LONGEST_PAGE)


class Signed(Input):
    """The operator's name and reason, which the audit log keeps with the key's fingerprint."""

    by: str = Field("", max_length=100, description="Your name, for the audit log.")
    reason: str = Field("", max_length=500, description="Your reason, for the audit log.")


class RedriveMany(Signed):
    """Dead letters to redrive: by id, or all of one kind that match the filters."""

    ids: list[str] | None = Field(None, max_length=MOST_AT_ONCE)
    kind: LetterKind | None = None
    type: str | None = Field(None, max_length=100, description="A pattern: `payment_intent.*`.")
    error: str | None = Field(
        None, max_length=200, description="A part of the last error; case is ignored."
    )
    payment_id: str | None = Field(None, max_length=128)
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(
        100, strict=True, ge=1, le=MOST_AT_ONCE, description="Stop after this many items."
    )
    dry_run: StrictBool = Field(False, description="List the items to redrive and change nothing.")


class RedriveOne(Signed):
    """An item to redrive; an event that is unknown here is fetched from Stripe."""

    account: str | None = Field(
        None, pattern=ACCOUNT_ID, description="The event's connected account."
    )


class Resolve(Signed):
    """The outcome of a dead refund job in Stripe's dashboard: a refund, or none."""

    refund_id: str | None = Field(None, pattern=r"^(re|pyr)_[A-Za-z0-9]{1,120}$")
    failed: StrictBool = False


class Item(Output):
    """The fields of an item in a list; times are RFC 3339."""

    kind: LetterKind
    id: str
    state: str
    type: str | None
    payment_id: str | None
    account: str | None
    error: str | None
    attempts: int
    redriven_at: str | None
    dead_at: str | None = Field(None, description="Set in a list of dead letters.")
    recorded_at: str | None = Field(None, description="Set in a list of events.")


class ItemList(Output):
    """The items of a search; `complete` is false when there may be more."""

    data: list[Item]
    matched: int
    complete: bool


class ItemDetails(Output):
    """All fields of an item; fields of other kinds are null, times are RFC 3339."""

    kind: LetterKind
    id: str
    state: str
    type: str | None = None
    payment_id: str | None = None
    account: str | None = None
    error: str | None = None
    attempts: int
    crashes: str | None = Field(None, description="Number of attempts whose process died.")
    deliveries: str | None = Field(None, description="How often the item was recorded.")
    source: str | None = Field(
        None, description="Source of an event: webhook, reconcile or redrive."
    )
    object: str | None = Field(None, description="Id of an event's object.")
    created: str | None = Field(None, description="Stripe's time of the event, Unix seconds.")
    api_version: str | None = None
    reason: str | None = Field(None, description="Why an event was ignored.")
    refund_id: str | None = None
    batch_id: str | None = Field(None, description="Batch that a refund job belongs to.")
    result: str | None = Field(None, description="Stripe's refund, as JSON text.")
    amount: str | None = None
    currency: str | None = None
    expected_currency: str | None = Field(
        None, description="Currency that the refund's caller expects."
    )
    pending_reason: str | None = None
    refusals: str | None = Field(None, description="Number of attempts without enough balance.")
    failure_code: str | None = None
    failure_message: str | None = None
    decision: str | None = Field(None, description="Operator's decision, as JSON text.")
    sequence: str | None = Field(None, description="Number of a notification within its payment.")
    request_id: str | None = None
    stripe_request_id: str | None = None
    traceparent: str | None = None
    again: str | None = None
    recorded_at: str | None = None
    claimed_at: str | None = None
    first_attempt_at: str | None = None
    finished_at: str | None = None
    redriven_at: str | None = None
    not_before: str | None = Field(None, description="The next attempt, Unix milliseconds.")
    other: dict[str, str] | None = Field(
        None, description="Fields that another version of this service wrote."
    )
    payload: Any = Field(description="The event, the request or the notification.")
    history: list[dict[str, Any]] = Field(description="Every attempt with its error.")

    @classmethod
    def of(cls, item: dict[str, Any]) -> ItemDetails:
        """Build the answer; fields of other versions of this service go into `other`."""
        other = {name: value for name, value in item.items() if name not in cls.model_fields}
        own = {name: value for name, value in item.items() if name in cls.model_fields}
        return cls(**own, other=other or None)


class RedriveResult(Output):
    """The result of a redrive, or of a dry run."""

    dry_run: bool
    matched: int
    redriven: list[str]
    skipped: dict[str, str] = Field(description="Items not redriven, each with its state.")
    complete: bool


class Outcome(Output):
    """The outcome: `redriven`, `recorded`, `resolved`, `due` or `running`."""

    outcome: str


class Comparison(Output):
    """The comparison with Stripe's archive; the gap counts missing events older than a minute."""

    running: bool
    completed_at_ms: int | None
    last_round: dict[str, int]
    total: dict[str, int]
    watermarks: dict[str, int | None]
    endpoints: dict[str, int] = Field(
        description="Number of webhook endpoints with our path at Stripe, by status; empty "
        "while unknown."
    )


class ServiceInfo(Output):
    """The running service; `open`: no operator key is needed, `simulated`: no money moves."""

    mode: Literal["live", "test", "simulated"]
    open: bool
    dashboard: str = Field(description="Base address of the pages of Stripe's dashboard.")
    stripe_api_version: str


class Queue(Output):
    """One queue: its messages, open items, due items, dead letters and workers.

    `open` does not count a notification that waits for an earlier one of its payment.
    `silent` means that no worker serves it; it is unknown for an idle queue without upkeep.
    """

    name: str
    depth: int
    open: int
    due: int
    overdue_seconds: float
    dead: int
    consumers: int
    silent: bool
    consumed_seconds_ago: float | None


class StoreFinding(Output):
    """A problem of Redis, and its fix."""

    level: Literal["warning", "error"]
    what: str
    fix: str


class QueueList(Output):
    """All queues, and the processes that serve any of them.

    `upkeep_seconds_ago` is the last sign of life of a relay; `stuck` lists workers whose threads
    all made no progress for longer than a lease.
    """

    data: list[Queue]
    workers: int
    stuck: list[str]
    breaker_open: bool
    upkeep_silent: bool
    upkeep_seconds_ago: float | None
    store_findings: list[StoreFinding] = Field(
        description="Settings of Redis that can lose work, and commands that its last start "
        "dropped."
    )


class KnownPayment(Output):
    """The stored state of a payment, without a call to Stripe."""

    payment_id: str
    revision: str
    updated_at_ms: int | None
    known: dict[str, Any]
    timeline: list[dict[str, Any]]


class AuditList(Output):
    """The decisions of operators, newest first."""

    data: list[dict[str, Any]]
