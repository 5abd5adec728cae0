"""Models of the API's requests and answers; the same models validate and document them."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
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
FIGURES = re.compile(r"-?[0-9]{1,20}")
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


def _figures(value: object) -> object:
    """Refuse a text with spaces, underscores or a fraction, which Python reads as a number."""
    if isinstance(value, str) and not FIGURES.fullmatch(value):
        raise ValueError("give a whole number")
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


# A number in a query, whose values are texts.
WholeNumber = Annotated[int, BeforeValidator(_figures)]
Amount = Annotated[int, Field(strict=True, gt=0, le=LARGEST_AMOUNT)]
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_lower=True, strip_whitespace=True)
]
# Null has the meaning of an optional field that is left out, as in the other optional fields.
Metadata = Annotated[
    dict[str, str],
    AfterValidator(_metadata),
    BeforeValidator(
        lambda value: {} if value is None else value, json_schema_input_type=dict[str, str] | None
    ),
]
PaymentId = Annotated[str, StringConstraints(pattern=PAYMENT_ID)]
AccountId = Annotated[str, StringConstraints(pattern=ACCOUNT_ID)]
PaymentMethodId = Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,120}$")]
RefundId = Annotated[str, StringConstraints(pattern=REFUND_ID)]
Reason = Literal["duplicate", "fraudulent", "requested_by_customer"]
CancellationReason = Literal["duplicate", "fraudulent", "requested_by_customer", "abandoned"]


class Input(BaseModel):
    """A request's body: unknown fields are refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Output(BaseModel):
    """An answer's body: a field that the model does not name is a defect and is never sent."""

    model_config = ConfigDict(extra="forbid")


class Parameters(BaseModel):
    """A request's headers or query; the library asks for the schema at each request."""

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Build the schema, without options once in a process: that takes one to three ms."""
        if args or options:
            return super().model_json_schema(*args, **options)
        return _schema_of(cls)


@cache
def _schema_of(model: type[Parameters]) -> dict[str, Any]:
    return super(Parameters, model).model_json_schema()


class AccountHeader(Parameters):
    """The connected account of a request (Stripe Connect)."""

    model_config = ConfigDict(hide_input_in_errors=True)

    stripe_account: str | SkipJsonSchema[None] = Field(
        None, alias="Stripe-Account", pattern=ACCOUNT_ID
    )


class KeyHeader(Parameters):
    """The key that makes a request safe to repeat."""

    model_config = ConfigDict(hide_input_in_errors=True)

    idempotency_key: str | SkipJsonSchema[None] = Field(
        None, alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$"
    )


class MoneyHeaders(KeyHeader, AccountHeader):
    """The headers of a request that moves money."""


class RefundHeaders(MoneyHeaders):
    """The headers of a refund request, with the time that the caller will wait."""

    prefer: str | SkipJsonSchema[None] = Field(
        None, alias="Prefer", max_length=255, description="RFC 7240: `wait=N`, N seconds up to 30."
    )


class TransferData(Input):
    """The destination of a destination charge (Stripe Connect)."""

    destination: AccountId
    amount: Amount | None = Field(
        None, description="Amount to transfer; by default all but the fee."
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
        None,
        max_length=2048,
        description="Address to which 3D Secure sends the customer's browser back.",
    )
    application_fee_amount: Amount | None = Field(
        None, description="Fee of the platform (Stripe Connect), in the smallest unit."
    )
    transfer_data: TransferData | None = None
    on_behalf_of: AccountId | None = Field(
        None, description="The account that the payment is settled for (Stripe Connect)."
    )


class VerifyPayment(Input):
    """A request to check whether a payment succeeded, and with the expected amount."""

    payment_intent_id: PaymentId = Field(description="Or the charge of a payment without one.")
    expected_amount: Amount | None = None
    expected_currency: Currency | None = None


class ProcessRefund(Input):
    """A refund to make; without an amount, all that is left of the payment."""

    payment_intent_id: PaymentId = Field(description="Or the charge of a payment without one.")
    amount: Amount | None = None
    expected_currency: Currency | None = Field(
        None, description="Refuse the refund when the payment is in another currency."
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
    """A cancellation: nobody can pay the payment any more, and held money is released."""

    reason: CancellationReason | None = None


class VerifyRefund(Input):
    """A request to check whether a refund succeeded."""

    refund_id: RefundId


class PaymentPath(BaseModel):
    """The payment in the path: a payment intent, or a charge without one."""

    payment_intent_id: str = Field(json_schema_extra={"pattern": PAYMENT_ID})


class RefundPath(BaseModel):
    """The refund or the refund job in the path."""

    refund_id: str = Field(json_schema_extra={"pattern": REFUND_ID})


class Payment(Output):
    """The current state of a payment."""

    success: bool = Field(description="True when its status is `succeeded`.")
    status: str = Field(
        description="Stripe's status of the payment intent; for a charge without one, the "
        "corresponding status."
    )
    payment_intent_id: str | None = Field(description="Null for a charge without one.")
    client_secret: str | None = Field(description="Null when Stripe could not be asked.")
    requires_action: bool
    next_action: dict[str, Any] | None = Field(description="Stripe's, for 3D Secure.")
    amount: int = Field(description="Amount requested, in the currency's smallest unit.")
    currency: str
    charge_id: str | None
    receipt_url: str | None
    created: int = Field(description="Unix seconds.")
    livemode: bool
    metadata: dict[str, str]


class Moved(Output):
    """The change of the balance; null while Stripe does not know it or our key may not read it.

    Of a refund that failed or was canceled it is null, too: the money is in the balance again.
    """

    fee: int | None = Field(description="Stripe's fee, in the settlement currency.")
    net: int | None = Field(description="Change of the balance; negative for a loss.")
    settlement_currency: str | None
    available_on: str | None = Field(description="When the net amount can be paid out, RFC 3339.")


class Refund(Moved):
    """The current state of a refund; `refund_id` is null until Stripe has made the refund."""

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
    failure_message: str | None = Field(description="Stripe's explanation of a refusal.")
    pending_reason: str | None = Field(
        description="Why the refund waits: `processing`, `insufficient_funds` or `charge_pending`."
    )
    account: str | None = Field(description="The connected account, if any.")
    attempts: int
    created: int | None
    metadata: dict[str, str]


class Dispute(Moved):
    """The current state of a dispute."""

    dispute_id: str
    status: str
    reason: str | None
    amount: int | None
    currency: str | None
    due_by: str | None = Field(description="Last time to submit evidence, RFC 3339.")
    created: int | None


class CanceledPayment(Payment):
    """A payment that nobody can pay any more."""

    amount_received: int = Field(description="Amount captured before the cancellation.")
    cancellation_reason: str | None


class PaymentDetails(Payment, Moved):
    """A payment with its refunds, disputes and timeline."""

    amount_received: int = Field(description="Amount captured; may be below or above `amount`.")
    amount_capturable: int = Field(description="Amount held that can still be captured.")
    amount_refunded: int = Field(
        description="Amount refunded of captured money; releasing a hold is no refund."
    )
    cancellation_reason: str | None
    account: str | None = Field(description="The connected account, if any.")
    refunds: list[Refund]
    disputes: list[Dispute]
    disputed: bool
    timeline: list[dict[str, Any]]
    stale: bool = Field(description="True when Stripe could not be asked.")
    as_of: str = Field(description="Time of the state shown, RFC 3339.")


class PaymentVerdict(Output):
    """The result of a check whether a payment succeeded as expected."""

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
    """The result of a check whether a refund succeeded."""

    verified: bool


class Received(Output):
    """The answer to a webhook: `recorded`, `duplicate` or `other_mode` (not recorded)."""

    received: bool
    result: str


class Health(Output):
    """The process runs."""

    status: Literal["healthy"]
    service: Literal["billing-service"]


class Readiness(Output):
    """The state of each dependency, by name."""

    status: Literal["ready", "unavailable"]
    checks: dict[str, str]
