"""Where Stripe sends this service's events: webhook endpoints, and destinations of thin events."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from shared.stripe.event import THIN_PREFIX
from shared.stripe.gateway import StripeGateway

Json = dict[str, Any]
WEBHOOK_PATH = "/api/webhook"


def is_ours(endpoint: Json) -> bool:
    """Say whether an endpoint has this service's path; the door takes one slash at its end."""
    return urlsplit(endpoint["url"]).path.removesuffix("/").endswith(WEBHOOK_PATH)


def thin_endpoints(gateway: StripeGateway) -> list[Json]:
    """List the destinations of thin events (API v2) in the form of webhook endpoints.

    Types are named as snapshots are, and `thin` is true. Those of snapshots are webhook endpoints,
    which Stripe lists as such, too. Raises as the gateway.
    """
    return [
        {
            "id": one["id"],
            "url": one["webhook_endpoint"]["url"],
            "status": one["status"],
            "enabled_events": [name.removeprefix(THIN_PREFIX) for name in one["enabled_events"]],
            "api_version": None,
            "thin": True,
        }
        for one in gateway.event_destinations()
        if one["event_payload"] == "thin" and (one.get("webhook_endpoint") or {}).get("url")
    ]
