"""The handlers: one file for each kind of Stripe object, one function for each event type or group.

Importing this package fills the registry.
"""

from worker.handlers import (  # noqa: F401 - imported to register
    charge,
    checkout_session,
    dispute,
    payment_intent,
    refund,
    review,
)
