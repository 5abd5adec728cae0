"""Distinguish Stripe's routes that are not simulated from routes that do not exist."""

from typing import Final

RESOURCES: Final = frozenset(
    """
    account account_links account_sessions accounts apple_pay application_fees apps balance
    balance_settings balance_transactions billing billing_portal charges checkout climate
    confirmation_tokens country_specs coupons credit_notes customer_sessions customers
    disputes entitlements ephemeral_keys events exchange_rates external_accounts file_links
    files financial_connections forwarding identity invoice_payments
    invoice_rendering_templates invoiceitems invoices issuing link_account_sessions
    linked_accounts mandates payment_attempt_records payment_intents payment_links
    payment_method_configurations payment_method_domains payment_methods payment_records
    payouts plans prices products promotion_codes quotes radar refunds reporting reviews
    setup_attempts setup_intents shipping_rates sigma sources subscription_items
    subscription_schedules subscriptions tax tax_codes tax_ids tax_rates terminal
    test_helpers tokens topups transfers treasury webhook_endpoints
    """.split()
)
"""First parts of paths after `/v1/` in Stripe's API, from its OpenAPI description."""
V2_PREFIXES: Final = ("/v2/billing/", "/v2/commerce/", "/v2/core/")


def is_stripes(path: str) -> bool:
    """Say whether a path belongs to a resource of Stripe."""
    if path.startswith("/v1/"):
        return path.split("/")[2] in RESOURCES
    return path.startswith(V2_PREFIXES)
