"""Our webhook endpoint at Stripe: looked at with each comparison, as Stripe may disable it.

An endpoint that refused events for days is disabled; Stripe writes a mail about it, and from then
on everything comes by reconcile alone, minutes late.
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
# Stripe answers in under one; the lease of the comparison has no room for a slow answer.
LOOK_SECONDS = 3.0


def note_endpoints(runtime: Runtime, state: Reconciliation) -> None:
    """Count the endpoints with our path that Stripe sends events to, and those it has disabled.

    A key that may not read endpoints is no failure: then nothing is known, and no call is counted
    as one that lacks a permission. Raises `Unavailable` when Redis is.
    """
    try:
        with deadline(LOOK_SECONDS):
            gateway = StripeGateway(runtime.settings, max_network_retries=0)
            ours = [one for one in gateway.webhook_endpoints() if is_ours(one)]
            # A key that may read endpoints need not have the right to read destinations.
            if not any(one["status"] == "enabled" for one in ours):
                ours += [one for one in thin_endpoints(gateway) if is_ours(one)]
    except BillingError as error:
        log.info("endpoints_unknown", error=str(error))
        return
    enabled = sum(e["status"] == "enabled" for e in ours)
    state.note_endpoints(enabled, len(ours) - enabled)
