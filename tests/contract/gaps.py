"""List each place where the sandbox, or Stripe itself, differs from the description, and why.

Each entry is a decision: the description (of an older API version than the one that the SDKs send)
does not have the key, or Stripe leaves it out although it is nullable.
"""

# "schema.key" -> why. Allowed only in answers of version endive: the description is of dahlia, and
# these keys are in the types of the SDKs that are pinned to endive.
ENDIVE = {
    "account_business_profile.specified_commercial_transactions_act_url": "endive: for Japan",
    "account_payments_settings.statement_descriptor_prefix_kana": "endive: for Japan",
    "account_payments_settings.statement_descriptor_prefix_kanji": "endive: for Japan",
    "charge.source": "endive: in the SDKs' types",
    "checkout.session.allowed_payment_method_types": "endive: successor of payment_method_types",
    "dispute.intended_submission_method": "endive: in the SDKs' types",
    "dispute_payment_method_details_card.network": "endive: in the SDKs' types",
    "dispute_evidence_details.submission_method": "endive: how evidence was sent",
    "payment_intent.allowed_payment_method_types": "endive: successor of payment_method_types",
    "payment_intent.payment_record": "endive: in the SDKs' types",
    "payment_intent_payment_method_options_link.persistent_token": "endive: in the SDKs' types",
    "payment_intent.source": "endive: in the SDKs' types",
    "payment_method_details_card.electronic_commerce_indicator": "endive: what 3D Secure gave",
    "payment_method_details_card.transaction_link_id": "endive: in the SDKs' types",
    "product.tax_details": "endive: in the SDKs' types",
    "product.type": "endive: in the SDKs' types",
    "refund.customer": "endive: in the SDKs' types",
    "refund.customer_account": "endive: in the SDKs' types",
    "refund.payment_method": "endive: in the SDKs' types",
}

# "schema.key": sent by Stripe although its description does not have it.
BEYOND_THE_SPEC: dict[str, str] = {
    ".count": "/v1/refunds and /v1/disputes with a charge filter answer with a count",
    "v2.core.event.snapshot_event": "thin events of v1 objects carry it since endive",
    ".total_count": "expanded lists carry it",
}

# "schema.key": nullable, but left out by Stripe when it does not apply.
ABSENT_BY_RIGHT: dict[str, str] = {
    "customer.cash_balance": "not included unless expanded",
    "charge.refunds": "not included unless expanded since 2022-11-15",
}

# Paths (or their beginnings) that Stripe serves and does not document; the CLI uses them.
UNDOCUMENTED_ROUTES: tuple[str, ...] = ("/v1/payment_pages", "/v1/stripecli/")
