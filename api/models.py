"""The requests and answers of the API: the models that validate are the ones documented."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
)
from pydantic.json_schema import SkipJsonSchema

# Stripe's limits on metadata.
METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500
# Stripe's largest amount in any currency has twelve digits.
LARGEST_AMOUNT = 999_999_999_999
PAYMENT_INTENT_ID = r"^pi_[A-Za-z0-9]{1,120}$"
# A payment is its payment intent, or its charge when it has none.
PAYMENT_ID = r"^(pi|ch|py)_[A-Za-z0-9]{1,120}$"
ACCOUNT_ID = r"^acct_[A-Za-z0-9]{1,120}$"
REFUND_ID = r"^(re|rr|pyr)_[A-Za-z0-9]{1,120}$"
EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;.]+")
NOT_IN_URL = re.compile(r"[\s\x00-\x1f\x7f<>\"]")
UNSAFE_SCHEMES = ("javascript", "data", "file", "vbscript")


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(value) > METADATA_KEYS:
        raise ValueError(f"at most {METADATA_KEYS} keys")
    for name, text in value.items():
        if not 0 < len(name) <= METADATA_KEY_LENGTH or "[" in name or "]" in name:
            raise ValueError(f"keys have 1 to {METADATA_KEY_LENGTH} characters, no brackets")
        if len(text) > METADATA_VALUE_LENGTH:
            raise ValueError(f"values have at most {METADATA_VALUE_LENGTH} characters")
    return value


def _email(value: str) -> str:
    if not EMAIL.fullmatch(value) or ".." in value:
        raise ValueError("not an e-mail address")
    return value


def _return_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not separator or not rest or scheme.lower() in UNSAFE_SCHEMES or NOT_IN_URL.search(value):
        raise ValueError("must be an absolute URL")
    return value


Amount = Annotated[int, Field(strict=True, gt=0, le=LARGEST_AMOUNT)]
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_lower=True, strip_whitespace=True)
]
Metadata = Annotated[dict[str, str], AfterValidator(_metadata)]
PaymentId = Annotated[str, StringConstraints(pattern=PAYMENT_ID)]
AccountId = Annotated[str, StringConstraints(pattern=ACCOUNT_ID)]
PaymentMethodId = Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,120}$")]
RefundId = Annotated[str, StringConstraints(pattern=REFUND_ID)]
Reason = Literal["duplicate", "fraudulent", "requested_by_customer"]
CancellationReason = Literal["duplicate", "fraudulent", "requested_by_customer", "abandoned"]


class Input(BaseModel):
    """What a caller sends: unknown fields are refused, so that a typing error is no surprise."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Output(BaseModel):
    """What we answer: a field that its model does not name is a defect of ours, never sent."""

    model_config = ConfigDict(extra="forbid")


class AccountHeader(BaseModel):
    """The connected account a request is for (Stripe Connect)."""

    model_config = ConfigDict(hide_input_in_errors=True)

    stripe_account: str | SkipJsonSchema[None] = Field(
        None, alias="Stripe-Account", pattern=ACCOUNT_ID
    )


class MoneyHeaders(AccountHeader):
    """What makes a request that moves money safe to repeat."""

    idempotency_key: str | SkipJsonSchema[None] = Field(
        None, alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$"
    )


class RefundHeaders(MoneyHeaders):
    """How long a caller would like to wait for the result."""

    prefer: str | SkipJsonSchema[None] = Field(
        None, alias="Prefer", max_length=255, description="RFC 7240: `wait=N`, N seconds up to 30."
    )


class TransferData(Input):
    """Where the money of a destination charge goes (Stripe Connect)."""

    destination: AccountId
    amount: Amount | None = Field(None, description="Of it; without, all but the fee.")


class ProcessPayment(Input):
    """A payment to take now."""

    amount: Amount = Field(description="In the currency's smallest unit.", examples=[1000])
    currency: Currency = Field(description="ISO 4217.", examples=["sgd"])
    payment_method: PaymentMethodId = Field(examples=["pm_card_visa"])
    description: str | None = Field(None, max_length=1000)
    metadata: Metadata = Field(default_factory=dict, examples=[{"event_id": "123"}])
    customer_email: Annotated[str, AfterValidator(_email)] | None = Field(
        None, max_length=512, description="Stripe sends the receipt there."
    )
    return_url: Annotated[str, AfterValidator(_return_url)] | None = Field(
        None, max_length=2048, description="Where 3D Secure sends the customer's browser back to."
    )
    application_fee_amount: Amount | None = Field(
        None, description="What the platform keeps (Stripe Connect), smallest unit."
    )
    transfer_data: TransferData | None = None
    on_behalf_of: AccountId | None = Field(
        None, description="The account that the payment is settled for (Stripe Connect)."
    )


class VerifyPayment(Input):
    """A question: whether a payment succeeded, as expected."""

    payment_intent_id: PaymentId = Field(description="Or the charge of a payment without one.")
    expected_amount: Amount | None = None
    expected_currency: Currency | None = None


class ProcessRefund(Input):
    """A refund to make; without an amount, of all that is left."""

    payment_intent_id: PaymentId = Field(description="Or the charge of a payment without one.")
    amount: Amount | None = None
    expected_currency: Currency | None = Field(
        None, description="Refuse the refund of a payment in another currency."
    )
    reason: Reason | None = None
    metadata: Metadata = Field(default_factory=dict)
    reverse_transfer: StrictBool | None = Field(
        None, description="Take the money back from the destination (Stripe Connect)."
    )
    refund_application_fee: StrictBool | None = Field(
        None, description="Give the platform's fee back, too (Stripe Connect)."
    )


class CancelPayment(Input):
    """Let a payment go: nobody can pay it any more, and what was held is released."""

    reason: CancellationReason | None = None


class VerifyRefund(Input):
    """A question: whether a refund succeeded."""

    refund_id: RefundId


class PaymentPath(BaseModel):
    """The payment in the path: its payment intent, or the charge of one without."""

    payment_intent_id: str = Field(json_schema_extra={"pattern": PAYMENT_ID})


class RefundPath(BaseModel):
    """The refund, or our request for one, in the path."""

    refund_id: str = Field(json_schema_extra={"pattern": REFUND_ID})


class Payment(Output):
    """A payment as it stands."""

    success: bool = Field(description="True when its status is `succeeded`.")
    status: str = Field(
        description="Stripe's status of the payment intent; of a charge without one, in its words."
    )
    payment_intent_id: str | None = Field(description="Null for a charge without one.")
    client_secret: str | None = Field(description="Null when Stripe could not be asked.")
    requires_action: bool
    next_action: dict[str, Any] | None = Field(description="Stripe's, for 3D Secure.")
    amount: int = Field(description="What was asked, in the currency's smallest unit.")
    currency: str
    charge_id: str | None
    receipt_url: str | None
    created: int = Field(description="Unix seconds.")
    livemode: bool
    metadata: dict[str, str]


class Moved(Output):
    """What reached the balance, as far as Stripe knows and our key may read it."""

    fee: int | None = Field(description="Stripe's fee, in the settlement currency.")
    net: int | None = Field(description="What the balance gains; below zero, loses.")
    settlement_currency: str | None
    available_on: str | None = Field(description="When it can be paid out, RFC 3339.")


class Refund(Moved):
    """A refund as it stands; `refund_id` is null until Stripe has made it."""

    refund_request_id: str | None
    refund_id: str | None
    status: str = Field(
        description="`queued` or `processing` here, then Stripe's: `pending`, `requires_action`, "
        "`succeeded`, `failed`, `canceled`."
    )
    amount: int | None
    currency: str | None
    reason: str | None
    payment_intent_id: str | None
    charge_id: str | None
    failure_reason: str | None = Field(description="Stripe's code.")
    failure_message: str | None = Field(description="Stripe's sentence, of a refusal.")
    pending_reason: str | None = Field(
        description="Why it waits: `processing`, `insufficient_funds` or `charge_pending`."
    )
    account: str | None = Field(description="The connected account, if any.")
    attempts: int
    created: int | None
    metadata: dict[str, str]


class Dispute(Moved):
    """A dispute as it stands."""

    dispute_id: str
    status: str
    reason: str | None
    amount: int | None
    currency: str | None
    due_by: str | None = Field(description="Until when evidence can be given, RFC 3339.")
    created: int | None


class CanceledPayment(Payment):
    """A payment that nobody can pay any more."""

    amount_received: int = Field(description="What was captured before it was let go.")
    cancellation_reason: str | None


class PaymentDetails(Payment, Moved):
    """A payment with all that happened to it."""

    amount_received: int = Field(description="What came: captured, in part or beyond.")
    amount_capturable: int = Field(description="What is held and can still be captured.")
    amount_refunded: int = Field(description="Of captured money; a released hold is no refund.")
    cancellation_reason: str | None
    account: str | None = Field(description="The connected account, if any.")
    refunds: list[Refund]
    disputes: list[Dispute]
    disputed: bool
    timeline: list[dict[str, Any]]
    stale: bool = Field(description="True when Stripe could not be asked.")
    as_of: str = Field(description="When this was so, RFC 3339.")


class PaymentVerdict(Output):
    """Whether a payment succeeded, as expected."""

    verified: bool
    payment_intent_id: str | None
    status: str
    reason: str | None = Field(
        description="not_succeeded, amount_mismatch, currency_mismatch, or null when verified."
    )
    amount: int
    amount_received: int
    amount_refunded: int
    currency: str


class RefundVerdict(Refund):
    """Whether a refund succeeded."""

    verified: bool


class Received(Output):
    """The answer to a webhook: `recorded`, `duplicate` or `other_mode` (not recorded)."""

    received: bool
    result: str


class Health(Output):
    """The process lives."""

    status: Literal["healthy"]
    service: Literal["billing-service"]


class Readiness(Output):
    """Whether the process can do its work, each dependency by name."""

    status: Literal["ready", "unavailable"]
    checks: dict[str, str]
