"""Events that Stripe failed to generate: the only loss that its list of events cannot show.

Stripe sends a thin event of its own about it, which names the type of the missing event and the
object to look up. Source: Stripe's "Handle webhook event generation failures".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.errors import CallerError
from shared.stripe.event import THIN_PREFIX, Event, account_in, reference
from shared.stripe.gateway import StripeGateway

Json = dict[str, Any]
GENERATION_FAILURE = "v2.core.health.event_generation_failure.resolved"
# Paths of the objects of the types we handle.
PLACES = {
    "payment_intent": "/v1/payment_intents/",
    "charge": "/v1/charges/",
    "refund": "/v1/refunds/",
    "dispute": "/v1/disputes/",
    "checkout.session": "/v1/checkout/sessions/",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings/",
    "review": "/v1/reviews/",
}


def lost_event(event: Event, stripe: StripeGateway) -> Event:
    """Return the missing event as a thin event, whose object the caller fetches.

    It has no URL of an object if we do not handle its kind. Raises `CallerError` for a notice that
    does not name the missing event, `Unavailable`.
    """
    data = event.data or stripe.event(event.id, event.account).get("data")
    impact = (data or {}).get("impact") or {}
    related, lost_type = impact.get("related_object") or {}, reference(impact.get("event_type"))
    object_id = reference(related) or reference(impact.get("related_object_id"))
    if not lost_type or not object_id:
        raise CallerError("The notice does not say which event was lost.", code="unreadable_body")
    place = PLACES.get(_kind(lost_type, related))
    lost_type = lost_type.removeprefix(THIN_PREFIX)
    account = account_in(impact.get("context")) or event.account
    return replace(
        event,
        type=lost_type,
        account=account,
        related_url=place + object_id if place else None,
    )


def _kind(lost_type: str, related: Json) -> str:
    """Return the kind of the object: from the notice, else from the beginning of the type."""
    kind = reference(related.get("type"))
    return kind or max((k for k in PLACES if lost_type.startswith(k)), key=len, default="")
