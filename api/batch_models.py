"""The requests and answers of the batches of refunds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from api.models import (
    LARGEST_AMOUNT,
    Amount,
    Currency,
    Input,
    Metadata,
    Output,
    Parameters,
    PaymentId,
    Reason,
    WholeNumber,
)
from shared.refund_terms import STRIPE_FEE
from shared.work.batch import MEMBER_STATES

# Most ids in a body: they fit into 384 KB. With `event_id` there is no such limit.
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


def _fee(value: object) -> object:
    """Refuse what is no fee in one sentence: a choice of two would name neither to a caller."""
    if value == STRIPE_FEE or (type(value) is int and 0 <= value <= LARGEST_AMOUNT):
        return value
    raise ValueError(f"give an amount in the smallest unit, 0 to {LARGEST_AMOUNT}, or stripe_fee")


KeptFee = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=LARGEST_AMOUNT)] | Literal["stripe_fee"],
    BeforeValidator(_fee),
]


def _figures(value: object) -> object:
    """Refuse a text with spaces, underscores or figures of other scripts, which Python reads."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9.eE+-]+", value):
        raise ValueError("give a number")
    return value


Percent = Annotated[Decimal, Field(gt=0, le=100, decimal_places=2), BeforeValidator(_figures)]


class StartBatch(Input):
    """A batch of refunds to make, for one event or for a list of payments.

    Without `percent` and `amount` the batch refunds all that is left of each payment.
    """

    event_id: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_EVENT_ID,
        description="Refund all payments of this event.",
    )
    payments: list[PaymentId] | None = Field(
        None, min_length=1, max_length=MOST_NAMED, description="Or refund these payments."
    )
    percent: Percent | None = Field(
        None,
        description="Percentage of the amount received of each payment, rounded down; never "
        "more than is left.",
    )
    amount: Amount | None = Field(
        None, description="Amount of each payment, in the smallest unit; never more than is left."
    )
    keep_fee: KeptFee | None = Field(
        None,
        description="Amount to keep of each refund, or `stripe_fee` to keep Stripe's fee.",
    )
    expected_currency: Currency | None = Field(
        None, description="Leave out the payments in another currency."
    )
    reason: Reason | None = None
    metadata: Metadata = Field(default_factory=dict, description="Metadata of each refund.")
    dry_run: StrictBool = Field(False, description="Show the refunds and make none.")

    @model_validator(mode="after")
    def _one_of_each(self) -> StartBatch:
        if (self.event_id is None) == (self.payments is None):
            raise ValueError("send either event_id or payments")
        if self.percent is not None and self.amount is not None:
            raise ValueError("send either percent or amount, or neither")
        return self


class NoFields(Input):
    """A body without a field: one that is sent was meant to have an effect."""


class RetryBatch(Input):
    """The members to refund once more: by default those that failed."""

    include: list[Literal["failed", "late"]] = Field(["failed"], min_length=1, max_length=2)


class BatchPath(BaseModel):
    """The id of the batch in the path."""

    batch_id: str = Field(json_schema_extra={"pattern": BATCH_ID})


class BatchQuery(Parameters):
    """A filter of batches: those of one event, or all."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="forbid")

    event_id: str | None = Field(None, min_length=1, max_length=LONGEST_EVENT_ID)
    limit: WholeNumber = Field(PAGE, ge=1, le=LONGEST_PAGE)


class MemberQuery(Parameters):
    """A filter of members, and the payment after which the page begins."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="forbid")

    status: MemberStateName | None = None
    limit: WholeNumber = Field(PAGE, ge=1, le=LONGEST_PAGE)
    starting_after: str | None = Field(None, max_length=128)


class Funds(Output):
    """The balance that the refunds need in one currency; null when it is not known."""

    currency: str
    needed: int
    available: int | None = Field(
        description="Balance at Stripe now; null when our key may not read it, or when Stripe has "
        "not said yet which balance pays these refunds."
    )
    missing: int | None


class LeftOutPayment(Output):
    """A payment that is not refunded, and why."""

    payment_id: str
    reason: str


class Refusal(Output):
    """The error with which a request would be answered."""

    code: str
    detail: str


class DryRun(Output):
    """The refunds that a batch would make now."""

    dry_run: Literal[True]
    payments: int = Field(description="Number of payments to refund.")
    amounts: dict[str, int] = Field(description="Sums of these refunds, by currency.")
    left_out: dict[str, int] = Field(description="Number of payments left out, by reason.")
    left_out_payments: list[LeftOutPayment] = Field(
        description="The first 1,000 payments left out."
    )
    funds: list[Funds]
    needs_operator: bool = Field(
        description="True when only an operator's key may start the batch."
    )
    refusal: Refusal | None = Field(
        description="Why this key's request to start the batch would be refused now (its size, the "
        "caller's limit of refunds within an hour, nothing to refund); null when it would start."
    )


class Batch(Output):
    """The current state of a batch."""

    batch_id: str
    state: Literal["running", "paused", "completed", "canceled"]
    paused_reason: str | None = Field(description="`requested` or `insufficient_funds`.")
    missing: dict[str, int] | None = Field(
        description="Amounts that the balance lacked at the last check, by currency; null when "
        "unknown."
    )
    event_id: str | None
    percent: str | None
    amount: int | None
    keep_fee: int | str | None
    expected_currency: str | None
    reason: str | None
    metadata: dict[str, str]
    account: str | None = Field(description="The connected account, if any.")
    total: int = Field(description="Number of members, without late ones.")
    done: int = Field(description="Members that have ended; equals `total` at the end.")
    counts: dict[str, int] = Field(description="Number of members by status.")
    amounts: dict[str, dict[str, int]] = Field(
        description="Sums of the refunds, by currency and within it by status."
    )
    per_second: float | None = Field(
        description="Refunds per second since the last resume; null when the batch does not run."
    )
    estimated_end: str | None = Field(description="RFC 3339; null when it cannot be estimated.")
    created: str
    ended: str | None = Field(
        description="RFC 3339; of a canceled batch, when the refunds that had begun were completed."
    )


class BatchList(Output):
    """Batches, the newest first."""

    data: list[Batch]


class BatchMember(Output):
    """A payment in a batch."""

    payment_id: str
    status: MemberStateName
    amount: int
    currency: str | None
    reason: str | None = Field(description="Why the payment is left out.")
    refund_request_id: str | None
    refund_id: str | None
    failure_code: str | None
    failure_message: str | None


class MemberPage(Output):
    """A page of members; the next page begins after the last of them."""

    data: list[BatchMember]
    has_more: bool


assert set(MemberStateName.__args__) == set(MEMBER_STATES)  # type: ignore[attr-defined]  # noqa: S101  # one list
