"""List the parameters of payment intents, as Stripe's reference does."""

from typing import Any, Final

from sandbox.objects import money, payment_methods
from sandbox.wire.params import (
    SHIPPING,
    Parser,
    Required,
    anything,
    boolean,
    either,
    email,
    fields,
    integer,
    list_of,
    metadata,
    one_of,
    text,
    unset_or,
)

SpecDict = dict[str, Parser | Required]

CAPTURE_METHOD: Final = one_of("automatic", "automatic_async", "manual")
USAGE: Final = unset_or(one_of("off_session", "on_session"))
TYPES: Final = unset_or(list_of(text()))

METHOD_DATA: Final = fields(
    {name: rule for name, rule in payment_methods.CREATE.items() if name != "card"}
    | {
        "card": fields(
            {
                "number": text(),
                "exp_month": integer(),
                "exp_year": integer(),
                "cvc": text(),
                "token": text(),
            }
        )
    }
)

_CARD_OPTIONS: Final = fields(
    {
        "capture_method": unset_or(one_of("manual")),
        "cvc_token": text(),
        "installments": anything(),
        "mandate_options": anything(),
        "moto": boolean(),
        "network": text(),
        "request_extended_authorization": one_of("if_available", "never"),
        "request_incremental_authorization": one_of("if_available", "never"),
        "request_multicapture": one_of("if_available", "never"),
        "request_overcapture": one_of("if_available", "never"),
        "request_three_d_secure": one_of("any", "automatic", "challenge"),
        "require_cvc_recollection": boolean(),
        "setup_future_usage": unset_or(one_of("none", "off_session", "on_session")),
        "statement_descriptor_suffix_kana": text(),
        "statement_descriptor_suffix_kanji": text(),
        "three_d_secure": anything(),
    }
)
METHOD_OPTIONS: Final = fields(
    {"card": _CARD_OPTIONS, "link": anything(), "sepa_debit": anything()}
)

_SHARED: Final[SpecDict] = {
    "amount_details": anything(),
    "capture_method": CAPTURE_METHOD,
    "allowed_payment_method_types": TYPES,
    "excluded_payment_method_types": TYPES,
    "hooks": anything(),
    "payment_details": anything(),
    "payment_method": text(),
    "payment_method_data": METHOD_DATA,
    "payment_method_options": METHOD_OPTIONS,
    "payment_method_types": list_of(text()),
    "receipt_email": unset_or(email()),
    "setup_future_usage": USAGE,
    "shipping": SHIPPING,
}

_DESCRIPTIVE: Final[SpecDict] = {
    "application_fee_amount": unset_or(integer(0)),
    "customer": text(),
    "description": unset_or(text(1000)),
    "metadata": metadata(),
    "payment_method_configuration": text(),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_data": anything(),
    "transfer_group": text(),
}

_CONFIRMING: Final[SpecDict] = {
    "confirmation_token": text(),
    "error_on_requires_action": boolean(),
    "mandate": text(),
    "mandate_data": anything(),
    "off_session": either(boolean(), one_of("one_off", "recurring", "true", "false")),
    "radar_options": anything(),
    "return_url": text(),
    "use_stripe_sdk": boolean(),
}

CREATE: Final[SpecDict] = {
    **_SHARED,
    **_DESCRIPTIVE,
    **_CONFIRMING,
    "amount": Required(integer(1)),
    "currency": Required(money.parse_currency),
    "automatic_payment_methods": fields(
        {"enabled": Required(boolean()), "allow_redirects": one_of("always", "never")}
    ),
    "confirm": boolean(),
    "confirmation_method": one_of("automatic", "manual"),
    "on_behalf_of": text(),
}
UPDATE: Final[SpecDict] = {
    **_SHARED,
    **_DESCRIPTIVE,
    "amount": integer(1),
    "currency": money.parse_currency,
}
CONFIRM: Final[SpecDict] = {**_SHARED, **_CONFIRMING, "client_secret": text()}
CAPTURE: Final[SpecDict] = {
    "amount_details": anything(),
    "amount_to_capture": integer(),
    "application_fee_amount": integer(0),
    "final_capture": boolean(),
    "hooks": anything(),
    "metadata": metadata(),
    "payment_details": anything(),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_data": anything(),
}
CANCEL: Final[SpecDict] = {
    "cancellation_reason": one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")
}
NEEDS_CONFIRM: Final = ("off_session", "error_on_requires_action", "return_url", "mandate_data")
"""Parameters of create that say how to confirm, so they come only with `confirm=true`."""

Given = dict[str, Any]
