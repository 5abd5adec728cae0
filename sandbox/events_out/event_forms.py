"""Show an event in its two forms: the snapshot in a version's shape, and the thin notice of it.

Stripe mirrors a v1 event type as `v1.<type>`. A thin event has its own id, made here from the
snapshot event's, so that nothing more has to be stored.
"""

from datetime import UTC, datetime
from typing import Final

from sandbox.wire import versions
from sandbox.world.objects import Json, frozen

THIN_PREFIX: Final = "evt_test_65"
SNAPSHOT_PREFIX: Final = "evt_"
URLS: Final = {
    "payment_intent": "/v1/payment_intents/",
    "charge": "/v1/charges/",
    "refund": "/v1/refunds/",
    "dispute": "/v1/disputes/",
    "checkout.session": "/v1/checkout/sessions/",
    "customer": "/v1/customers/",
    "payment_method": "/v1/payment_methods/",
    "product": "/v1/products/",
    "price": "/v1/prices/",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings/",
}


def in_version(event: Json, version: str) -> Json:
    """Return the event as an endpoint of that API version gets it."""
    rendered = frozen(event)
    rendered["data"]["object"] = versions.shown(rendered["data"]["object"], version)
    rendered["api_version"] = version
    return rendered


def thin(event: Json) -> Json:
    """Return the thin notice of a snapshot event: no object, to be resolved by a fetch."""
    subject = event["data"]["object"]
    kind = subject["object"]
    notice: Json = {
        "id": THIN_PREFIX + event["id"].removeprefix(SNAPSHOT_PREFIX),
        "object": "v2.core.event",
        "created": iso(event["created"]),
        "livemode": False,
        "type": "v1." + event["type"],
        "related_object": {
            "id": subject["id"],
            "type": kind,
            "url": URLS[kind] + subject["id"],
        },
        "snapshot_event": event["id"],
    }
    if event["request"]["id"] is not None:
        notice["reason"] = {"type": "request", "request": event["request"]}
    if "account" in event:
        notice["context"] = event["account"]
    return notice


def snapshot_id(thin_id: str) -> str | None:
    """Return the id of the snapshot event behind a thin one, or None if it is no thin id."""
    if not thin_id.startswith(THIN_PREFIX):
        return None
    return SNAPSHOT_PREFIX + thin_id.removeprefix(THIN_PREFIX)


def iso(seconds: int) -> str:
    """Return a moment as API v2 writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
