"""The surroundings of the service, at a test's own pace: deliveries, work, notifications."""

from __future__ import annotations

import json
import time
from math import inf
from typing import Any, cast

import jsonschema_rs
import stripe
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS
from tests.conftest import SIGNING_SECRET
from tests.loopback import at_stripe, call
from tests.servers import PATIENCE_SECONDS
from worker.jobs import JOBS
from worker.relay import sweep
from worker.run import run
from worker.runtime import Runtime

Json = dict[str, Any]
# Seconds: work that is due later than this is not done in a test.
SOON_SECONDS = 20.0
# Work may also become due earlier, while a test waits for what was due next.
LONGEST_NAP_SECONDS = 0.1
WORKED = (EVENTS, REFUNDS, NOTIFICATIONS)
# The schemas that the API serves, by type; to make one takes as long as the rest of a short test.
_schemas: dict[str, jsonschema_rs.Validator] = {}


class Hands:
    """Deliver Stripe's events to the webhook, and do a worker's work on request."""

    def __init__(self, client: FlaskClient, runtime: Runtime, sandbox: str, receiver: str) -> None:
        self.client = client
        self.runtime = runtime
        self.sandbox = sandbox
        self.receiver = receiver

    def break_stripe(self, **fault: Any) -> None:
        """Make the sandbox fail calls of this test only, and not late calls of an earlier one."""
        key = self.runtime.settings.stripe_secret_key
        match = fault.pop("match", {}) | {"api_key": key.get_secret_value() if key else None}
        fault_body = {"match": match} | fault
        call("POST", f"{self.sandbox}/_sandbox/faults", json=fault_body)

    def pay(self, method: str = "pm_card_visa", **fields: Any) -> TestResponse:
        """Take a payment through the API."""
        body = {"amount": 1000, "currency": "sgd", "payment_method": method} | fields
        return self.client.post("/api/payment/process", json=body)

    def events(self) -> list[Json]:
        """List all events that Stripe made, oldest first."""
        return list(reversed(at_stripe("GET", f"{self.sandbox}/v1/events", limit=100)["data"]))

    def post_event(self, event: Json | str, **options: Any) -> TestResponse:
        """Deliver one event as Stripe would; options may change its signature or address."""
        payload = event if isinstance(event, str) else json.dumps(event)
        secret = options.pop("secret", SIGNING_SECRET)
        path = options.pop("path", "/api/webhook")
        header = stripe.WebhookSignature.generate_signature_header(
            payload, secret, timestamp=options.pop("timestamp", None)
        )
        headers = {"Stripe-Signature": header} | options.pop("headers", {})
        return self.client.post(
            path, data=payload, content_type="application/json", headers=headers
        )

    def traces(self) -> list[str]:
        """List all keys but those of the budget, which earlier calls to Stripe may still write."""
        names = cast(list[str], self.runtime.store.redis.keys("*"))
        return [name for name in names if ":budget:" not in name]

    def deliver_events(self, *types: str) -> list[Json]:
        """Deliver every event Stripe made (or those of the types), oldest first."""
        events = [event for event in self.events() if not types or event["type"] in types]
        for event in events:
            assert self.post_event(event).status_code == 200
        return events

    def ring(self) -> int:
        """Answer the doorbells that are in the queues now; return their number."""
        bells = 0
        store = self.runtime.store
        for name, kind in KINDS.items():
            while message := store.pop(store.keys.queue(kind)):
                (item_id,) = json.loads(json.loads(message)["body"])[0]
                run(JOBS[name], self.runtime, item_id)
                bells += 1
        return bells

    def work(self) -> None:
        """Work until all that is left is scheduled for later."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if self.ring() or any(sweep(self.runtime.store, kind) for kind in WORKED):
                continue
            pause = self._next_due_seconds()
            if pause > SOON_SECONDS:
                return
            time.sleep(min(max(pause, 0.001), LONGEST_NAP_SECONDS))
        raise AssertionError("there was no end of work")

    def _next_due_seconds(self) -> float:
        store = self.runtime.store
        look = store.redis.pipeline(transaction=False)
        look.time()
        for kind in WORKED:
            look.zrange(store.keys.due(kind), 0, 0, withscores=True)
        (seconds, micros), *rows = look.execute()
        due_ms = min((at_ms for row in rows for _, at_ms in row), default=inf)
        return due_ms / 1000 - seconds - micros / 1e6

    def notifications(self, *, with_fees: bool = False, **filters: str) -> list[Json]:
        """List the notifications that were received, oldest first, repeats included.

        A payment's fees are left out, unless they or their type are requested: the sandbox knows
        them some seconds after a payment, so on a busy machine they may come into any test.

        Each is validated by the JSON Schema that the API serves for its type, and may have no
        field that the schema does not name.
        """
        answer = call("GET", f"{self.receiver}/notifications", fields=filters)
        page = list(answer.json()["data"])
        if not with_fees and "type" not in filters:
            page = [item for item in page if item["type"] != "payment.settled"]
        for item in page:
            self._assert_as_promised(item["body"])
        return page

    def _assert_as_promised(self, body: Json) -> None:
        if body["type"] not in _schemas:
            schema = self.client.get(f"/schemas/notifications/{body['type']}").get_json(force=True)
            for part in (schema, schema["properties"]["data"]):
                part["additionalProperties"] = False
            checks = jsonschema_rs.validator_for(schema, validate_formats=True)
            _schemas[body["type"]] = checks
        _schemas[body["type"]].validate(body)

    def notified_types(self) -> list[str]:
        """List the types of the notifications that were received, oldest first, without fees."""
        return [item["type"] for item in self.notifications()]
