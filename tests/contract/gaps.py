"""Name each place where the sandbox, or Stripe itself, departs from the description, and why.

An entry here is a decision, not a convenience: it says what the description (of an older API
version than the one the SDKs send) cannot know, or what Stripe leaves out though it is nullable.
"""

# Keys that came after the description's version; "endive" and the release before it.
NEWER_THAN_THE_SPEC: dict[str, str] = {
    "electronic_commerce_indicator": "charge.payment_method_details.card, since endive",
    "submission_method": "dispute.evidence_details, since endive",
    "allowed_payment_method_types": "payment_intent, since endive: successor of ..._types",
}

# (key, value) pairs that came after the description's version.
VALUES_NEWER: tuple[tuple[str, str], ...] = ()

# "schema.key": sent by Stripe though its description does not say so.
BEYOND_THE_SPEC: dict[str, str] = {
    ".count": "/v1/refunds and /v1/disputes with a charge filter answer with a count",
    ".total_count": "expanded lists carry it",
}

# "schema.key": nullable, yet left out by Stripe when it does not apply.
ABSENT_BY_RIGHT: dict[str, str] = {
    "charge.refunds": "not included unless expanded since 2022-11-15",
}

# Paths (or their beginnings) that Stripe answers and does not document; the CLI uses them.
UNDOCUMENTED_ROUTES: tuple[str, ...] = ("/v1/payment_pages", "/v1/stripecli/")
