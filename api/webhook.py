"""Stripe's webhooks: verify, record, ring, answer. Everything else happens behind the answer."""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.bodies import raw_body
from api.models import Received
from api.parts import parts
from api.problems import documented
from api.requests import trace
from shared.errors import CallerError, Unavailable
from shared.stripe.event import Event, parse_event
from shared.stripe.gateway import verify_signature
from shared.telemetry.tally import OTHER_MODE_EVENTS

webhooks = APIBlueprint("webhook", __name__, abp_tags=[Tag(name="webhook")])
SIGNATURE = "Stripe-Signature"
# The body is read raw, for the signature covers its bytes; so it is documented by hand.
DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {
            "name": SIGNATURE,
            "in": "header",
            "required": True,
            "description": "Stripe's `t=…,v1=…` over the raw body.",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
}
# Stripe's header with one signature has 87 characters; this holds a dozen secrets' signatures.
MOST_SIGNATURE_CHARACTERS = 1024
# Stripe comes again by itself; this tells anyone else.
FULL_RETRY_SECONDS = 30


@webhooks.post(
    "/api/webhook",
    responses={200: Received, **documented(400, 413, 429, 500, 503)},
    openapi_extensions=DOCUMENTED,
    # An endpoint that was registered with a slash at its end gets its events, too.
    strict_slashes=False,
)
def receive() -> Response:
    """Record a signed event. 200 means that it is safe on disk; anything else, that it is not."""
    payload = raw_body(cache=False)
    try:
        _verify(payload, request.headers.get(SIGNATURE, ""))
    except CallerError:
        parts().bad_signatures.count(request.remote_addr or "unknown")
        raise
    event = parse_event(payload)
    if event.livemode != parts().settings.livemode:
        return _other_mode(event)
    recorded = parts().inbox.record(event, payload.decode(), source="webhook", **trace())
    if recorded == "full":
        raise Unavailable(
            "Too many events wait to be processed; send this one again.",
            code="too_many_waiting",
            retry_after_seconds=FULL_RETRY_SECONDS,
        )
    g.result = "recorded" if recorded == "recorded" else "duplicate"
    return jsonify({"received": True, "result": g.result})


def _verify(payload: bytes, header: str) -> None:
    """Accept a signature by any of the secrets. Raises the last refusal."""
    settings = parts().settings
    refusal: CallerError | None = None
    if len(header) > MOST_SIGNATURE_CHARACTERS:
        raise CallerError("The signature header is too long.", code="invalid_signature")
    for secret in settings.stripe_webhook_secret:
        try:
            verify_signature(
                payload, header, secret.get_secret_value(), settings.webhook_tolerance_seconds
            )
        except CallerError as error:
            refusal = error
        else:
            return
    raise refusal or CallerError("No signing secret is set.", code="invalid_signature")


def _other_mode(event: Event) -> Response:
    """Acknowledge and count an event of another mode than our key's, and record nothing.

    Live Connect endpoints get the test events of connected accounts by Stripe's design, and an
    endpoint that refuses events is disabled after days.
    """
    mode = "live" if event.livemode else "test"
    parts().store.tally.count(OTHER_MODE_EVENTS, mode=mode, account=event.account or "own")
    g.result = "other_mode"
    return jsonify({"received": True, "result": g.result})
