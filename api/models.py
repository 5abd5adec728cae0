"""The requests and answers of the API: the models that validate are the ones documented."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

# Stripe's limits on metadata.
METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500
# Stripe's largest amount in any currency has twelve digits.
LARGEST_AMOUNT = 999_999_999_999
PAYMENT_INTENT_ID = r"^pi_[A-Za-z0-9]{1,120}$"
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
PaymentIntentId = Annotated[str, StringConstraints(pattern=PAYMENT_INTENT_ID)]
PaymentMethodId = Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,120}$")]
RefundId = Annotated[str, StringConstraints(pattern=REFUND_ID)]
Reason = Literal["duplicate", "fraudulent", "requested_by_customer"]


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
        None, alias="Stripe-Account", pattern=r"^acct_[A-Za-z0-9]{1,120}$"
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


class VerifyPayment(Input):
    """A question: whether a payment succeeded, as expected."""

    payment_intent_id: PaymentIntentId
    expected_amount: Amount | None = None
    expected_currency: Currency | None = None


class ProcessRefund(Input):
    """A refund to make; without an amount, of all that is left."""

    payment_intent_id: PaymentIntentId
    amount: Amount | None = None
    reason: Reason | None = None
    metadata: Metadata = Field(default_factory=dict)


class VerifyRefund(Input):
    """A question: whether a refund succeeded."""

    refund_id: RefundId


class PaymentPath(BaseModel):
    """The payment intent in the path."""

    payment_intent_id: str = Field(json_schema_extra={"pattern": PAYMENT_INTENT_ID})


class RefundPath(BaseModel):
    """The refund, or our request for one, in the path."""

    refund_id: str = Field(json_schema_extra={"pattern": REFUND_ID})


class Payment(Output):
    """A payment as it stands."""

    success: bool = Field(description="True when its status is `succeeded`.")
    status: str = Field(description="Stripe's status of the payment intent.")
    payment_intent_id: str
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


class Refund(Output):
    """A refund as it stands; `refund_id` is null until Stripe has made it."""

    refund_request_id: str | None
    refund_id: str | None
    status: Literal[
        "queued",
        "processing",
        "pending",
        "requires_action",
        "succeeded",
        "failed",
        "canceled",
    ]
    amount: int | None
    currency: str | None
    reason: str | None
    payment_intent_id: str | None
    charge_id: str | None
    failure_reason: str | None
    attempts: int
    created: int | None
    metadata: dict[str, str]


class PaymentDetails(Payment):
    """A payment with all that happened to it."""

    amount_received: int
    amount_refunded: int
    refunds: list[Refund]
    disputed: bool
    timeline: list[dict[str, Any]]
    stale: bool = Field(description="True when Stripe could not be asked.")
    as_of: str = Field(description="When this was so, RFC 3339.")


class PaymentVerdict(Output):
    """Whether a payment succeeded, as expected."""

    verified: bool
    payment_intent_id: str
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
