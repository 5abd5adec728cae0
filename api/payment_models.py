"""Models of lists of payments, for callers and for operators."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints

from api.models import METADATA_VALUE_LENGTH, Output, Parameters, WholeNumber
from api.ops_models import LONGEST_PAGE, PAGE, Moment
from shared.payment_summary import PaymentSummary
from shared.work.payment_index import LAST_SECOND

# Rows of a page: the most and the default, as in Stripe's own lists.
LONGEST_CALLERS_PAGE = 100
CALLERS_PAGE = 10
Value = Annotated[str, StringConstraints(min_length=1, max_length=METADATA_VALUE_LENGTH)]
After = Annotated[
    str | None,
    Field(
        max_length=128,
        pattern=r"^\w{3,128}$",
        description="The `id` of the last payment of the page before.",
    ),
]
Status = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
]


class PaymentTerms(Parameters):
    """Filters of payments; a payment must match all of them.

    Each metadata key of `INDEXED_METADATA` is a filter, too.
    """

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    __pydantic_extra__: dict[str, Value]

    event_id: Value | None = Field(None, description="Of the payment's metadata.")
    user_id: Value | None = Field(None, description="Of the payment's metadata.")
    order_id: Value | None = Field(None, description="Of the payment's metadata.")
    email: str | None = Field(
        None,
        max_length=512,
        pattern=r"^[^@\s]+@[^@\s]+$",
        description="The customer's address; case is ignored.",
    )
    status: Status | None = Field(None, description="Stripe's status.")
    disputed: bool | None = None

    def metadata(self) -> dict[str, str]:
        """Return the wanted metadata by key."""
        own = {name: getattr(self, name) for name in ("event_id", "user_id", "order_id")}
        extra = self.__pydantic_extra__ or {}
        return {name: value for name, value in own.items() if value is not None} | extra


class CallersPaymentQuery(PaymentTerms):
    """Filters for a caller; times are when Stripe made the payments, in Unix seconds."""

    since: WholeNumber | None = Field(None, alias="created[gte]", ge=0, le=LAST_SECOND)
    until: WholeNumber | None = Field(None, alias="created[lt]", ge=0, le=LAST_SECOND)
    starting_after: After = None
    limit: WholeNumber = Field(CALLERS_PAGE, ge=1, le=LONGEST_CALLERS_PAGE)


class OperatorsTerms(PaymentTerms):
    """Filters for an operator; times are when Stripe made the payments."""

    since: Moment | None = Field(None, description="RFC 3339, with a time zone.")
    until: Moment | None = Field(None, description="RFC 3339, with a time zone.")


class OperatorsPaymentQuery(OperatorsTerms):
    """Filters and page of an operator's list of payments.

    A search by a part of an address, or by `dead`, reads the newest ten thousand payments.
    """

    email: str | None = Field(
        None, max_length=512, description="The customer's address or a part of it; case is ignored."
    )
    dead: bool | None = Field(None, description="Only payments with, or without, dead letters.")
    starting_after: After = None
    limit: WholeNumber = Field(PAGE, ge=1, le=LONGEST_PAGE)


class PaymentFacts(Output):
    """A payment as its events reported it; amounts are in the currency's smallest unit."""

    status: str | None = Field(description="Stripe's status; null until an event reports it.")
    amount: int | None
    amount_received: int | None
    amount_refunded: int
    currency: str | None
    charge_id: str | None
    created: int = Field(description="Unix seconds.")
    livemode: bool | None
    description: str | None
    customer_email: str | None
    metadata: dict[str, str]
    account: str | None = Field(description="The connected account, if any.")
    fee: int | None = Field(description="Stripe's fee, in the settlement currency.")
    net: int | None = Field(description="Change of the balance.")
    settlement_currency: str | None

    @classmethod
    def of(cls, summary: PaymentSummary, **more: object) -> Self:
        """Build the row of a payment."""
        names = PaymentFacts.model_fields
        return cls.model_validate({name: getattr(summary, name) for name in names} | more)


class CallersPayment(PaymentFacts):
    """A payment in a caller's list; `id` is its payment intent, or its charge without one."""

    id: str
    payment_intent_id: str | None
    disputed: bool


class CallersPaymentList(Output):
    """Payments, the newest first; more follow after the last `id` when `has_more`."""

    data: list[CallersPayment]
    has_more: bool


class PaymentRow(PaymentFacts):
    """A payment in an operator's list; `dead` counts its dead letters."""

    payment_id: str
    event_id: str | None
    user_id: str | None
    heard_at: str = Field(description="Time of its last change, RFC 3339.")
    dispute: str | None = Field(description="The status of its latest dispute.")
    dispute_due_by: int | None = Field(description="Last time to submit evidence, Unix seconds.")
    dead: int


class PaymentList(Output):
    """Payments, the newest first; `complete` is false when there may be more."""

    data: list[PaymentRow]
    complete: bool


class PaymentSum(Output):
    """The payments of one status and currency."""

    status: str | None
    currency: str | None
    payments: int
    disputed: int
    amount: int
    amount_received: int
    amount_refunded: int


class SettledSum(Output):
    """Fees and net amounts of the payments of one settlement currency, as far as known."""

    settlement_currency: str
    payments: int
    fee: int
    net: int


class PaymentSums(Output):
    """Sums of the payments that match; `complete` is false when there are more."""

    payments: int
    sums: list[PaymentSum]
    settled: list[SettledSum]
    complete: bool
