"""The webhook in /openapi.json. The front answers the route itself, in `api/webhook.py`."""

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
# The signature covers the bytes of the body, so no model parses it, and this text documents it.
DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {
            "name": "Stripe-Signature",
            "in": "header",
            "required": True,
            "description": "Stripe's signature of the raw body: `t=…,v1=…`.",
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
    # An endpoint may have been registered at Stripe with a slash at its end.
    strict_slashes=False,
)
def receive() -> Response:
    """Receive an event from Stripe. After any status but 200, Stripe sends the event again."""
    raise Inconsistent("The front answers this route; Flask only documents it.")
