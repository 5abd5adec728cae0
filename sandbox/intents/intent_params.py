"""The parameters of payment intents, from Stripe's reference."""

from typing import Any, Final

from sandbox.objects import money, other_methods, payment_methods
from sandbox.wire.params import (
    SHIPPING,
    NotSimulated,
    Parser,
    RefusedLater,
    Required,
    boolean,
    either,
    email,
    fields,
    integer,
    list_of,
    metadata,
    not_simulated,
    one_of,
    text,
    unset_or,
    url,
)

SpecDict = dict[str, Parser | Required]

CAPTURE_METHOD: Final = one_of("automatic", "automatic_async", "manual")
USAGE: Final = unset_or(one_of("off_session", "on_session"))
OPTION_USAGE: Final = unset_or(one_of("none", "off_session", "on_session"))
TYPES: Final = unset_or(list_of(other_methods.any_type()))
IF_AVAILABLE: Final = one_of("if_available", "never")
"""A parameter that is never stored in the intent; the charge has it."""
ACCOUNT: Final = RefusedLater()
"""Parameters that name another account: refused as by Stripe if unknown, else as not simulated."""

METHOD_DATA: Final = fields(
    {name: rule for name, rule in payment_methods.CREATE.items() if name != "card"}
    | {"card": payment_methods.CARD}
)

_CARD_OPTIONS: Final = fields(
    {
        **not_simulated("cvc_token mandate_options network restrictions three_d_secure"),
        **not_simulated("statement_descriptor_suffix_kana statement_descriptor_suffix_kanji"),
        "capture_method": unset_or(one_of("manual")),
        "installments": NotSimulated(({"enabled": "false"},)),
        "moto": NotSimulated(("false",)),
        "request_extended_authorization": IF_AVAILABLE,
        "request_incremental_authorization": IF_AVAILABLE,
        "request_multicapture": IF_AVAILABLE,
        "request_overcapture": IF_AVAILABLE,
        "request_three_d_secure": one_of("any", "automatic", "challenge"),
        "require_cvc_recollection": NotSimulated(("false",)),
        "setup_future_usage": OPTION_USAGE,
    }
)
_DEBIT_OPTIONS: Final = fields(
    {**not_simulated("mandate_options target_date"), "setup_future_usage": OPTION_USAGE}
)
METHOD_OPTIONS: Final = fields(
    {**other_methods.OPTIONS, "card": _CARD_OPTIONS, "sepa_debit": _DEBIT_OPTIONS}
)
_MANDATE: Final = fields(
    {
        "customer_acceptance": Required(
            fields(
                {
                    "type": Required(one_of("offline", "online")),
                    "accepted_at": integer(),
                    "offline": fields({}),
                    "online": fields({"ip_address": text(), "user_agent": text()}),
                }
            )
        )
    }
)

_SHARED: Final[SpecDict] = {
    **not_simulated("amount_details hooks payment_details", {}, ""),
    "capture_method": CAPTURE_METHOD,
    "allowed_payment_method_types": TYPES,
    "excluded_payment_method_types": TYPES,
    "payment_method": text(),
    "payment_method_data": METHOD_DATA,
    "payment_method_options": METHOD_OPTIONS,
    "payment_method_types": list_of(text()),
    "receipt_email": unset_or(email()),
    "setup_future_usage": USAGE,
    "shipping": SHIPPING,
}

_DESCRIPTIVE: Final[SpecDict] = {
    **not_simulated("customer_account payment_method_configuration"),
    "application_fee_amount": NotSimulated(("",)),
    "customer": text(),
    "description": unset_or(text(1000)),
    "metadata": metadata(),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_data": ACCOUNT,
    "transfer_group": text(),
}

_CONFIRMING: Final[SpecDict] = {
    **not_simulated("confirmation_token mandate radar_options"),
    "error_on_requires_action": boolean(),
    "mandate_data": unset_or(_MANDATE),
    "off_session": either(boolean(), one_of("one_off", "recurring", "true", "false")),
    "return_url": url(),
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
    "on_behalf_of": ACCOUNT,
}
UPDATE: Final[SpecDict] = {
    **_SHARED,
    **_DESCRIPTIVE,
    "amount": integer(1),
    "currency": money.parse_currency,
}
CONFIRM: Final[SpecDict] = {
    **_SHARED,
    **_CONFIRMING,
    **not_simulated("amount_to_confirm"),
    "client_secret": text(),
}
CAPTURE: Final[SpecDict] = {
    **not_simulated("amount_details hooks payment_details", {}, ""),
    "amount_to_capture": integer(),
    "application_fee_amount": NotSimulated(("",)),
    "final_capture": NotSimulated(("true",)),
    "metadata": metadata(),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_data": ACCOUNT,
}
CANCEL: Final[SpecDict] = {
    "cancellation_reason": one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")
}
NEEDS_CONFIRM: Final = ("off_session", "error_on_requires_action", "return_url", "mandate_data")
"""Parameters of create about the confirmation, allowed only with `confirm=true`."""

Inputs = dict[str, Any]
