"""Give events in their thin form: a notice without the object, to be resolved by a fetch.

Stripe mirrors a v1 event type as `v1.<type>`. A thin event has its own id, made here from the
snapshot event's, so that nothing more has to be stored.
"""

from datetime import UTC, datetime
from typing import Final

from sandbox import errors, events
from sandbox.call import Call, Route
from sandbox.objects import Json

ID_PREFIX: Final = "evt_test_65"
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


def notification(event: Json) -> Json:
    """Return the thin notice of a snapshot event."""
    subject = event["data"]["object"]
    kind = subject["object"]
    thin: Json = {
        "id": ID_PREFIX + event["id"].removeprefix(SNAPSHOT_PREFIX),
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
        thin["reason"] = {"type": "request", "request": event["request"]}
    if "account" in event:
        thin["context"] = event["account"]
    return thin


def iso(seconds: int) -> str:
    """Return a moment as API v2 writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _retrieve(call: Call) -> Json:
    thin_id = call.ids[0]
    events.forget_old(call.scope)
    snapshot = call.scope.find("event", SNAPSHOT_PREFIX + thin_id.removeprefix(ID_PREFIX))
    if not thin_id.startswith(ID_PREFIX) or snapshot is None:
        message = f"No such event: '{thin_id}'"
        raise errors.StripeError(404, {"code": "not_found", "message": message})
    return {"changes": None, **notification(snapshot)}


ROUTES: Final = (Route("GET", "/v2/core/events/{id}", _retrieve),)
