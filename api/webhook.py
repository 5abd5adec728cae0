"""Stripe's webhooks: verify, record, ring, answer. Everything else happens behind the answer.

This is the hot path: it runs in the event loop, without a thread, and everything that waits for the
store goes there together.
"""

from __future__ import annotations

import re
import time
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.answers import json_answer, problem_answer
from api.bad_signatures import BadSignatures
from api.messages import Answer, Request
from api.models import Received
from api.openapi import operation_name
from api.problems import documented
from api.request_context import Identity, identify
from api.request_lines import RequestLines
from shared.errors import BillingError, CallerError, Inconsistent, Unavailable
from shared.hosts import is_known_host
from shared.settings import Settings
from shared.store.pipe import Pipe
from shared.stripe.event import Event, parse_event
from shared.stripe.gateway import verify_signature
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import (
    HTTP_REQUESTS,
    HTTP_SECONDS,
    OTHER_MODE_EVENTS,
    WEBHOOK_SECONDS,
    WEBHOOKS,
    Tally,
)
from shared.work.inbox import Inbox

log = get_logger(__name__)
webhooks = APIBlueprint(
    "webhook", __name__, abp_tags=[Tag(name="webhook")], operation_id_callback=operation_name
)
ROUTE = "/api/webhook"
SIGNATURE = "Stripe-Signature"
# Stripe's header with one signature has 87 characters; this holds a dozen secrets' signatures.
MOST_SIGNATURE_CHARACTERS = 1024
# What every signature of Stripe's has; without it nothing is hashed.
SIGNED_AT = re.compile(r"(?:^|,)t=(\d{1,12})(?:,|$)")
HASH = re.compile(r"(?:^|,)v1=[0-9a-f]{64}(?:,|$)")
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
# Stripe comes again by itself; this tells anyone else.
FULL_RETRY_SECONDS = 30
ANSWERS = {
    result: f'{{"received":true,"result":"{result}"}}\n'.encode()
    for result in ("recorded", "duplicate", "other_mode")
}


@webhooks.post(
    ROUTE,
    responses={200: Received, **documented(400, 413, 429, 500, 503)},
    openapi_extensions=DOCUMENTED,
    # An endpoint that was registered with a slash at its end gets its events, too.
    strict_slashes=False,
)
def receive() -> Response:
    """Record a signed event. 200 means that it is safe on disk; anything else, that it is not."""
    raise Inconsistent("The front answers this route; here it is only documented.")


class WebhookDoor:
    """Receive events: strict about who sends them, one round trip to Redis for each."""

    def __init__(self, settings: Settings, inbox: Inbox, pipe: Pipe, tally: Tally) -> None:
        self._settings = settings
        self._secrets = [secret.get_secret_value() for secret in settings.stripe_webhook_secret]
        self._inbox = inbox
        self._pipe = pipe
        self._tally = tally
        self._lines = RequestLines(settings)
        self._bad_signatures = BadSignatures(settings.bad_signatures_per_minute)

    async def answer(self, request: Request, address: str) -> Answer:
        """Answer one webhook, whatever happens, and tell log and metrics of it."""
        identity = identify(
            request.header(b"x-request-id"), request.header(b"traceparent"), f"POST {ROUTE}"
        )
        try:
            result = await self._receive(request, identity, address)
            answer = json_answer(identity.request_id, ANSWERS[result])
        except BillingError as error:
            result = error.code
            answer = problem_answer(identity.request_id, error)
        self._tell(request, identity, answer.status, result)
        return answer

    async def _receive(self, request: Request, identity: Identity, address: str) -> str:
        if not is_known_host(request.header(b"host"), self._settings.allowed_hosts):
            raise CallerError(
                "The service does not answer to this Host; add the name to ALLOWED_HOSTS.",
                status=421,
                code="host_not_allowed",
            )
        try:
            self._verify(request.body, request.header(b"stripe-signature"))
        except CallerError:
            self._bad_signatures.count(address)
            raise
        event = parse_event(request.body)
        if event.livemode != self._settings.livemode:
            return self._other_mode(event)
        return await self._record(event, request.body.decode(), identity)

    def _verify(self, payload: bytes, header: str) -> None:
        """Accept a signature by any of the secrets; hash nothing for a header that is none."""
        refusal = CallerError(
            "The signature does not match the body, the secret or the time.",
            code="invalid_signature",
        )
        if not self._plausible(header):
            raise refusal
        for secret in self._secrets:
            try:
                verify_signature(payload, header, secret, self._settings.webhook_tolerance_seconds)
            except CallerError as error:
                refusal = error
            else:
                return
        raise refusal

    def _plausible(self, header: str) -> bool:
        if len(header) > MOST_SIGNATURE_CHARACTERS or not HASH.search(header):
            return False
        signed_at = SIGNED_AT.search(header)
        oldest = time.time() - self._settings.webhook_tolerance_seconds - 1
        return signed_at is not None and int(signed_at[1]) >= oldest

    def _other_mode(self, event: Event) -> str:
        """Count an event of another mode than our key's, and record nothing.

        Live Connect endpoints get the test events of connected accounts by Stripe's design, and an
        endpoint that refuses events is disabled after days.
        """
        mode = "live" if event.livemode else "test"
        self._tally.count(OTHER_MODE_EVENTS, mode=mode, account=event.account or "own")
        return "other_mode"

    async def _record(self, event: Event, body: str, identity: Identity) -> str:
        call = self._inbox.recording(event, body, "webhook", identity.trace)
        outcome: str = (await self._pipe.run(call))[0]
        if outcome == "full":
            raise Unavailable(
                "Too many events wait to be processed; send this one again.",
                code="too_many_waiting",
                retry_after_seconds=FULL_RETRY_SECONDS,
            )
        return "recorded" if outcome == "recorded" else "duplicate"

    def _tell(self, request: Request, identity: Identity, status: int, result: str) -> None:
        seconds = time.perf_counter() - request.began_at
        identity.end(status)
        self._tally.count(HTTP_REQUESTS, route=ROUTE, method="POST", status=str(status))
        self._tally.observe(HTTP_SECONDS, seconds, route=ROUTE)
        self._tally.count(WEBHOOKS, result=result)
        self._tally.observe(WEBHOOK_SECONDS, seconds)
        self._lines.tell(ROUTE, status, seconds, result, identity)
