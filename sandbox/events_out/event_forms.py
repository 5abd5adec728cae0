"""The two forms of an event: the snapshot in an API version, and the thin event about it.

Stripe has a thin type `v1.<type>` for each v1 event type. A thin event has an id of its own, which
is computed here from the snapshot event's, so that nothing has to be stored for it.
"""

from datetime import UTC, datetime
from typing import Final

from sandbox.wire import versions
from sandbox.world.objects import Json, copy_of

THIN_KIND: Final = "v2.core.event"
FETCHED: Final = ("changes", "data")
"""Fields that only `GET /v2/core/events/{id}` returns."""
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
    "review": "/v1/reviews/",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings/",
}


def in_version(event: Json, version: str) -> Json:
    """Return the event as an endpoint of that API version gets it."""
    rendered = copy_of(event)
    rendered["data"]["object"] = versions.in_version(rendered["data"]["object"], version)
    rendered["api_version"] = version
    return rendered


def thin(event: Json) -> Json:
    """Return the thin form of an event, without object and data, which a client fetches."""
    if event["object"] == THIN_KIND:
        return {name: value for name, value in event.items() if name not in FETCHED}
    subject = event["data"]["object"]
    kind = subject["object"]
    notice: Json = {
        "id": THIN_PREFIX + event["id"].removeprefix(SNAPSHOT_PREFIX),
        "object": THIN_KIND,
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
        request = {name: value or "" for name, value in event["request"].items()}
        notice["reason"] = {"type": "request", "request": request}
    if "account" in event:
        notice["context"] = event["account"]
    return notice


def fetched(event: Json) -> Json:
    """Return a thin event as a fetch returns it: with its data and the changes."""
    if event["object"] == THIN_KIND:
        return copy_of(event)
    notice, before = thin(event), event["data"].get("previous_attributes")
    if before is not None:
        after = {name: event["data"]["object"].get(name) for name in before}
        notice["changes"] = copy_of({"before": before, "after": after})
    return notice


def snapshot_id(thin_id: str) -> str | None:
    """Return the id of the snapshot event behind a thin one, or None if it is no thin id."""
    if not thin_id.startswith(THIN_PREFIX):
        return None
    return SNAPSHOT_PREFIX + thin_id.removeprefix(THIN_PREFIX)


def iso(seconds: int) -> str:
    """Return a time in the format of API v2."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
