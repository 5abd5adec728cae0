"""The webhook's place in the contract. The front answers it, in `api/webhook.py`."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.models import Received
from api.openapi import operation_name
from api.problems import documented
from shared.errors import Inconsistent
from shared.stripe.endpoints import WEBHOOK_PATH

webhooks = APIBlueprint(
    "webhook", __name__, abp_tags=[Tag(name="webhook")], operation_id_callback=operation_name
)
# The body is read raw, for the signature covers its bytes; so it is documented by hand.
DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {
            "name": "Stripe-Signature",
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


@webhooks.post(
    WEBHOOK_PATH,
    responses={200: Received, **documented(400, 413, 429, 500, 503)},
    openapi_extensions=DOCUMENTED,
    # An endpoint that was registered with a slash at its end gets its events, too.
    strict_slashes=False,
)
def receive() -> Response:
    """Record a signed event. 200 means that it is safe on disk; anything else, that it is not."""
    raise Inconsistent("The front answers this route; here it is only documented.")
