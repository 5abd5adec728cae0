"""The kinds of evidence for a dispute."""

from typing import Final

from sandbox.wire import params
from sandbox.world.objects import Json

NAMES: Final = """
    access_activity_log billing_address cancellation_policy cancellation_policy_disclosure
    cancellation_rebuttal customer_communication customer_email_address customer_name
    customer_purchase_ip customer_signature duplicate_charge_documentation
    duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy
    refund_policy_disclosure refund_refusal_explanation service_date service_documentation
    shipping_address shipping_carrier shipping_date shipping_documentation
    shipping_tracking_number uncategorized_file uncategorized_text
    """.split()
TEXT_LIMIT: Final = 20_000
"""Most characters of one piece of evidence."""

EVIDENCE: Final = params.fields(
    {
        **{name: params.unset_or(params.text(TEXT_LIMIT)) for name in NAMES},
        **params.not_simulated("enhanced_evidence"),
    }
)


def blank(charge: Json) -> Json:
    """Return evidence with only the customer's data of the charge."""
    billing = charge["billing_details"]
    evidence: Json = {**dict.fromkeys(NAMES), "enhanced_evidence": {}}
    evidence.update(customer_email_address=billing["email"], customer_name=billing["name"])
    return evidence
