"""The parameters of checkout sessions for one-time payments."""

from typing import Any, Final

from sandbox.checkout import line_items
from sandbox.intents.intent_params import ACCOUNT, CAPTURE_METHOD, METHOD_OPTIONS, TYPES, USAGE
from sandbox.objects import money
from sandbox.wire.params import (
    DISABLED,
    SHIPPING,
    NotSimulated,
    Required,
    email,
    fields,
    integer,
    list_of,
    metadata,
    not_simulated,
    one_of,
    text,
    url,
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
"""Parameters that a session returns unchanged."""

_INTENT_DATA: Final = fields(
    {
        **not_simulated("application_fee_amount"),
        "capture_method": CAPTURE_METHOD,
        "description": text(1000),
        "metadata": metadata(),
        "on_behalf_of": ACCOUNT,
        "receipt_email": email(),
        "setup_future_usage": USAGE,
        "shipping": SHIPPING,
        "statement_descriptor": text(22),
        "statement_descriptor_suffix": text(22),
        "transfer_data": ACCOUNT,
        "transfer_group": text(),
    }
)
CREATE: Final[dict[str, Any]] = {
    **not_simulated(
        """
        after_expiration branding_settings consent_collection custom_fields custom_text
        customer_account customer_update discounts name_collection optional_items origin_context
        payment_method_configuration payment_method_data permissions saved_payment_method_options
        setup_intent_data shipping_address_collection shipping_options subscription_data
        wallet_options
        """,
        "",
        {},
        [],
    ),
    **dict.fromkeys(
        (
            "adaptive_pricing",
            "automatic_tax",
            "invoice_creation",
            "managed_payments",
            "phone_number_collection",
            "tax_id_collection",
        ),
        DISABLED,
    ),
    "allow_promotion_codes": NotSimulated(("false",)),
    "allowed_payment_method_types": TYPES,
    "billing_address_collection": NotSimulated(("auto",)),
    "cancel_url": url(),
    "client_reference_id": text(200),
    "currency": money.parse_currency,
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
    "payment_method_collection": NotSimulated(("always", "if_required")),
    "payment_method_options": METHOD_OPTIONS,
    "payment_method_types": list_of(text()),
    "redirect_on_completion": NotSimulated(("always",)),
    "return_url": url(),
    "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
    "success_url": url(),
    "ui_mode": one_of("elements", "embedded_page", "hosted_page"),
}
UPDATE: Final[dict[str, Any]] = {
    **not_simulated("collected_information line_items shipping_options"),
    "metadata": metadata(),
}
