"""List every route of the API."""

from typing import Final

from sandbox import (
    accounts,
    balance,
    catalog,
    charges,
    checkout_routes,
    customers,
    disputes,
    event_destinations,
    events,
    fraud_warnings,
    intent_routes,
    payment_methods,
    refunds,
    thin_events,
    webhook_endpoints,
)

ROUTES: Final = (
    *intent_routes.ROUTES,
    *payment_methods.ROUTES,
    *charges.ROUTES,
    *refunds.ROUTES,
    *customers.ROUTES,
    *balance.ROUTES,
    *events.ROUTES,
    *webhook_endpoints.ROUTES,
    *thin_events.ROUTES,
    *accounts.ROUTES,
    *catalog.ROUTES,
    *checkout_routes.ROUTES,
    *disputes.ROUTES,
    *event_destinations.ROUTES,
    *fraud_warnings.ROUTES,
)
