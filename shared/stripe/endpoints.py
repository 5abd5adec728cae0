"""The webhook endpoints and destinations of thin events at Stripe."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from shared.stripe.event import THIN_PREFIX
from shared.stripe.gateway import StripeGateway

Json = dict[str, Any]
WEBHOOK_PATH = "/api/webhook"
# Sources of an endpoint's events, in Stripe's words: our account, or connected accounts.
SELF, ACCOUNTS = "@self", "@accounts"


def is_ours(endpoint: Json) -> bool:
    """Say whether an endpoint has this service's path; the API also accepts a slash at its end."""
    return urlsplit(endpoint["url"]).path.removesuffix("/").endswith(WEBHOOK_PATH)


def snapshot_endpoints(gateway: StripeGateway) -> list[Json]:
    """List the webhook endpoints, each with the sources of its events. Raises as the gateway.

    Stripe names an application only for endpoints of connected accounts' events; it never shows
    `connect` itself.
    """
    return [
        {**one, "thin": False, "sources": [ACCOUNTS if one.get("application") else SELF]}
        for one in gateway.webhook_endpoints()
    ]


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
            "sources": one.get("events_from") or [SELF],
        }
        for one in gateway.event_destinations()
        if one["event_payload"] == "thin" and (one.get("webhook_endpoint") or {}).get("url")
    ]
