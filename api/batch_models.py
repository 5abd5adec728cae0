"""The requests and answers of the batches of refunds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from api.models import (
    LARGEST_AMOUNT,
    Amount,
    Currency,
    Input,
    Metadata,
    Output,
    PaymentId,
    Reason,
)
from shared.work.batch import MEMBER_STATES

# Ids that a body may name: what fits into its 384 KB, and with `event_id` there is no such limit.
MOST_NAMED = 10_000
# Stripe's own limit on a value of metadata.
LONGEST_EVENT_ID = 500
BATCH_ID = r"^rb_[0-9a-z]{32}$"
MemberStateName = Literal[
    "not_begun",
    "begun",
    "waiting",
    "pending",
    "refunded",
    "failed",
    "left_out",
    "dead",
    "late",
]
LONGEST_PAGE = 1_000
PAGE = 100


class StartBatch(Input):
    """A batch of refunds to make: of one event, or of the payments named.

    Without `percent` and `amount` all that is left of each payment is refunded.
    """

    event_id: str | None = Field(
        None, min_length=1, max_length=LONGEST_EVENT_ID, description="All payments of this event."
    )
    payments: list[PaymentId] | None = Field(
        None, min_length=1, max_length=MOST_NAMED, description="Or these payments."
    )
    percent: Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)] | None = Field(
        None,
        description="Of what was received of each payment, rounded down; never more than is left.",
    )
    amount: Amount | None = Field(
        None, description="Of each payment, in the smallest unit; never more than is left."
    )
    keep_fee: (
        Annotated[int, Field(strict=True, ge=0, le=LARGEST_AMOUNT)] | Literal["stripe_fee"] | None
    ) = Field(
        None,
        description="What is kept of each refund: an amount, or `stripe_fee`: what Stripe took.",
    )
    expected_currency: Currency | None = Field(
        None, description="Leave out the payments in another currency."
    )
    reason: Reason | None = None
    metadata: Metadata = Field(default_factory=dict, description="Of each refund.")
    dry_run: StrictBool = Field(False, description="Say what would happen; refund nothing.")

    @model_validator(mode="after")
    def _one_of_each(self) -> StartBatch:
        if (self.event_id is None) == (self.payments is None):
            raise ValueError("send either event_id or payments")
        if self.percent is not None and self.amount is not None:
            raise ValueError("send either percent or amount, or neither")
        return self


class RetryBatch(Input):
    """Which members are tried once more; without a choice, those that failed."""

    include: list[Literal["failed", "late"]] = Field(["failed"], min_length=1, max_length=2)


class BatchPath(BaseModel):
    """The batch in the path."""

    batch_id: str = Field(json_schema_extra={"pattern": BATCH_ID})


class BatchQuery(BaseModel):
    """Which batches: those of one event, or all."""

    model_config = ConfigDict(hide_input_in_errors=True)

    event_id: str | None = Field(None, max_length=LONGEST_EVENT_ID)
    limit: int = Field(PAGE, ge=1, le=LONGEST_PAGE)


class MemberQuery(BaseModel):
    """Which members, and where a page goes on: after a payment of it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    status: MemberStateName | None = None
    limit: int = Field(PAGE, ge=1, le=LONGEST_PAGE)
    starting_after: str | None = Field(None, max_length=128)


class Funds(Output):
    """What the refunds need of the balance at Stripe in one currency; null: not known."""

    currency: str
    needed: int
    available: int | None = Field(description="At Stripe now; null when our key may not read it.")
    missing: int | None


class LeftOutPayment(Output):
    """A payment that is not refunded, and why."""

    payment_id: str
    reason: str


class DryRun(Output):
    """What a batch would do now."""

    dry_run: Literal[True]
    payments: int = Field(description="How many would be refunded.")
    amounts: dict[str, int] = Field(description="What they come to, by currency.")
    left_out: dict[str, int] = Field(description="How many would be left out, by reason.")
    left_out_payments: list[LeftOutPayment] = Field(description="The first 1,000 of them.")
    funds: list[Funds]
    needs_operator: bool = Field(description="True when only an operator's key may start it.")


class Batch(Output):
    """A batch as it stands."""

    batch_id: str
    state: Literal["running", "paused", "completed", "canceled"]
    paused_reason: str | None = Field(description="`requested` or `insufficient_funds`.")
    missing: dict[str, int] | None = Field(
        description="What the balance lacked by currency when it was last looked at."
    )
    event_id: str | None
    percent: str | None
    amount: int | None
    keep_fee: int | str | None
    expected_currency: str | None
    reason: str | None
    metadata: dict[str, str]
    account: str | None = Field(description="The connected account, if any.")
    total: int = Field(description="Its members, without those that came late.")
    done: int = Field(description="Members with an end: `total` when it is through.")
    counts: dict[str, int] = Field(description="Members by status.")
    amounts: dict[str, dict[str, int]] = Field(
        description="What they come to, by currency and then by status."
    )
    per_second: float | None = Field(description="Since it was last resumed; null: not running.")
    estimated_end: str | None = Field(description="RFC 3339; null when nothing tells.")
    created: str
    ended: str | None


class BatchList(Output):
    """Batches, the newest first."""

    data: list[Batch]


class BatchMember(Output):
    """A payment in a batch."""

    payment_id: str
    status: MemberStateName
    amount: int
    currency: str | None
    reason: str | None = Field(description="Why it is left out.")
    refund_request_id: str | None
    refund_id: str | None
    failure_code: str | None
    failure_message: str | None


class MemberPage(Output):
    """A page of members; it goes on after the last of them."""

    data: list[BatchMember]
    has_more: bool


assert set(MemberStateName.__args__) == set(MEMBER_STATES)  # type: ignore[attr-defined]  # noqa: S101  # one list
