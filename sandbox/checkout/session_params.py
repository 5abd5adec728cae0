"""List the parameters of checkout sessions that a one-time payment can have."""

from typing import Any, Final

from sandbox.checkout import line_items
from sandbox.intents.intent_params import CAPTURE_METHOD, METHOD_OPTIONS, TYPES, USAGE
from sandbox.wire.params import (
    SHIPPING,
    Required,
    anything,
    boolean,
    email,
    fields,
    integer,
    list_of,
    metadata,
    one_of,
    text,
    unset_or,
)

SHOWN_AS_GIVEN: Final = (
    "after_expiration",
    "allow_promotion_codes",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "customer",
    "customer_email",
    "integration_identifier",
    "locale",
    "submit_type",
    "success_url",
)
"""Parameters a session shows as they came."""

_INTENT_DATA: Final = fields(
    {
        "application_fee_amount": integer(0),
        "capture_method": CAPTURE_METHOD,
        "description": text(1000),
        "metadata": metadata(),
        "on_behalf_of": text(),
        "receipt_email": email(),
        "setup_future_usage": USAGE,
        "shipping": SHIPPING,
        "statement_descriptor": text(22),
        "statement_descriptor_suffix": text(22),
        "transfer_data": anything(),
        "transfer_group": text(),
    }
)
_IGNORED: Final = """
    adaptive_pricing automatic_tax branding_settings consent_collection custom_fields custom_text
    customer_update discounts invoice_creation managed_payments name_collection optional_items
    payment_method_data permissions phone_number_collection redirect_on_completion
    saved_payment_method_options shipping_address_collection shipping_options tax_id_collection
    wallet_options after_expiration payment_method_collection payment_method_configuration
    origin_context currency
""".split()
"""Real parameters that do nothing here."""

CREATE: Final[dict[str, Any]] = {
    **{name: anything() for name in _IGNORED},
    "allow_promotion_codes": boolean(),
    "allowed_payment_method_types": TYPES,
    "billing_address_collection": one_of("auto", "required"),
    "cancel_url": text(),
    "client_reference_id": text(200),
    "customer": text(),
    "customer_creation": one_of("always", "if_required"),
    "customer_email": email(),
    "excluded_payment_method_types": TYPES,
    "expires_at": integer(),
    "integration_identifier": text(),
    "line_items": Required(line_items.PARAMS),
    "locale": text(),
    "metadata": metadata(),
    "mode": Required(one_of("payment", "setup", "subscription")),
    "payment_intent_data": _INTENT_DATA,
    "payment_method_options": METHOD_OPTIONS,
    "payment_method_types": list_of(text()),
    "return_url": text(),
    "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
    "success_url": text(),
    "ui_mode": one_of("elements", "embedded_page", "hosted_page"),
}
UPDATE: Final[dict[str, Any]] = {
    "collected_information": anything(),
    "metadata": metadata(),
    "shipping_options": unset_or(anything()),
}
