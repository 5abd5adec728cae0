"""Generate ids in Stripe's format, so that code that reads their prefixes behaves the same."""

import secrets
import string
from typing import Final

ALPHABET: Final = string.ascii_letters + string.digits
RANDOM_LENGTH: Final = 23
"""Characters after the prefix; Stripe's payment ids have about as many."""
SHORT_LENGTH: Final = 14
"""Accounts, customers, products and requests have shorter ids."""
SECRET_LENGTH: Final = 25
"""Characters after `_secret_` in a client secret."""

PREFIXES: Final = {
    "payment_intent": "pi_3",
    "charge": "ch_3",
    "refund": "re_3",
    "balance_transaction": "txn_3",
    "payment_method": "pm_1",
    "dispute": "du_1",
    "checkout.session": "cs_test_a1",
    "event": "evt_1",
    "webhook_endpoint": "we_1",
    "price": "price_1",
    "item": "li_1",
    "mandate": "mandate_1",
    "radar.early_fraud_warning": "issfr_1",
    "review": "prv_1",
    "delivery": "dlv_1",
    "v2.core.event": "evt_test_61",
    "v2.core.event_destination": "ed_test_",
}
SHORT_PREFIXES: Final = {
    "account": "acct_1",
    "customer": "cus_",
    "product": "prod_",
    "request": "req_",
}


def random_text(length: int) -> str:
    """Return random letters and digits that nobody can guess."""
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in secrets.token_bytes(length))


def new_id(kind: str) -> str:
    """Return a fresh id for an object kind, with Stripe's prefix for that kind."""
    if kind in SHORT_PREFIXES:
        return SHORT_PREFIXES[kind] + random_text(SHORT_LENGTH)
    return PREFIXES[kind] + random_text(RANDOM_LENGTH)


def client_secret(object_id: str) -> str:
    """Return a client secret bound to one object."""
    return f"{object_id}_secret_{random_text(SECRET_LENGTH)}"


def signing_secret() -> str:
    """Return a webhook signing secret in Stripe's form."""
    return "whsec_" + random_text(32)
