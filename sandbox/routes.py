"""List every route of the API."""

from typing import Final

from sandbox.checkout import session_routes
from sandbox.events_out import event_destinations, events, thin_events, webhook_endpoints
from sandbox.intents import intent_routes
from sandbox.objects import (
    accounts,
    balance,
    catalog,
    charges,
    customers,
    disputes,
    fraud_warnings,
    payment_methods,
    refunds,
    reviews,
)

ROUTES: Final = (
    *intent_routes.ROUTES,
    *payment_methods.ROUTES,
    *charges.ROUTES,
    *refunds.ROUTES,
    *reviews.ROUTES,
    *customers.ROUTES,
    *balance.ROUTES,
    *events.ROUTES,
    *webhook_endpoints.ROUTES,
    *thin_events.ROUTES,
    *accounts.ROUTES,
    *catalog.ROUTES,
    *session_routes.ROUTES,
    *disputes.ROUTES,
    *event_destinations.ROUTES,
    *fraud_warnings.ROUTES,
)
