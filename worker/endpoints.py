"""Check our webhook endpoint at Stripe after each reconcile, because Stripe may disable it.

Stripe disables an endpoint that refused events for days, and sends an e-mail about it. From then on
events arrive by reconcile alone, minutes late.
"""

from __future__ import annotations

from shared.deadline import deadline
from shared.errors import BillingError
from shared.stripe.endpoints import is_ours, thin_endpoints
from shared.stripe.gateway import StripeGateway
from shared.telemetry.logging import get_logger
from shared.work.reconciliation import Reconciliation
from worker.runtime import Runtime

log = get_logger(__name__)
# Stripe answers in under a second; the lease of reconcile has no room for a slow answer.
LOOK_SECONDS = 3.0


def note_endpoints(runtime: Runtime, state: Reconciliation) -> None:
    """Store the number of enabled and of disabled endpoints at Stripe that have our path.

    A key that may not read endpoints is no failure: then nothing is stored, and no call is counted
    as one that lacks a permission. Raises `Unavailable` when Redis is down.
    """
    try:
        with deadline(LOOK_SECONDS):
            gateway = StripeGateway(runtime.settings, max_network_retries=0)
            ours = [one for one in gateway.webhook_endpoints() if is_ours(one)]
            # The right to read endpoints does not include the right to read destinations.
            if not any(one["status"] == "enabled" for one in ours):
                ours += [one for one in thin_endpoints(gateway) if is_ours(one)]
    except BillingError as error:
        log.info("endpoints_unknown", error=str(error))
        return
    enabled = sum(e["status"] == "enabled" for e in ours)
    state.note_endpoints(enabled, len(ours) - enabled)
