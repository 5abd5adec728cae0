"""Trials: a signed event and a signed notification through the running service.

Both are marked as tests, belong to no payment and have no effect: the event has a type without a
handler and ends `ignored`, the notification is a `test.notification`.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import requests
from standardwebhooks.webhooks import Webhook

from doctor.service import Service, send
from shared.errors import CallerError, Unavailable
from shared.facts import NOTIFICATION_ID_LENGTH
from shared.notification import TEST, TYPES, example
from shared.printable import without_password
from shared.settings import Settings
from shared.store.durability import Finding
from shared.stripe.gateway import API_VERSION
from shared.stripe.signature import sign

Json = dict[str, Any]
EVENT_TYPE = "billing.test_event"
# Seconds. An idle service does either in less than one; this allows for a busy one.
PATIENCE_SECONDS = 15.0
LOOK_SECONDS = 0.2
UNREACHABLE_FIX = (
    "Check DNS, the proxy and its certificate, or register the address that is public: "
    "./billing stripe register."
)
END_STATES = ("processed", "ignored")
REDIRECTS = range(300, 400)
SUCCESS = range(200, 300)


def event_trial(settings: Settings, service: Service, address: str) -> Iterator[Finding]:
    """Post a signed test event to a webhook's address, and follow it to a worker."""
    event_id = f"evt_doctor{secrets.token_hex(12)}"
    where = f"a signed test event to {without_password(address)}"
    body = _event(event_id, settings)
    try:
        answer = send("POST", address, data=body, headers=_sign(body, settings))
    except Unavailable as error:
        if address.startswith(f"{service.url}/"):
            raise  # the service itself does not answer
        yield Finding("error", "test event", str(error), UNREACHABLE_FIX)
        return
    if answer.status_code != HTTPStatus.OK:
        yield _refused_event(where, answer)
        return
    try:
        state = _await(lambda: service.get(f"/items/{event_id}")["state"], END_STATES)
    except CallerError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        yield Finding(
            "error",
            "test event",
            f"{where} was answered 200, but the service at {service.url} does not know it",
            "The address leads to another installation: correct the endpoint's URL at Stripe.",
        )
        return
    if state in END_STATES:
        yield Finding("ok", "test event", f"{where} was recorded and processed")
        return
    what = f"{where} was recorded and not processed in {PATIENCE_SECONDS:.0f} s; it is {state}"
    yield Finding("error", "test event", what, "See the workers: ./billing queues.")


def _event(event_id: str, settings: Settings) -> str:
    return json.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": EVENT_TYPE,
            "api_version": API_VERSION,
            "created": int(time.time()),
            "livemode": settings.livemode,
            "data": {"object": {"id": "billing_test", "object": "billing_test"}},
        }
    )


def _sign(body: str, settings: Settings) -> dict[str, str]:
    """Sign with every secret that is set here, as Stripe does during a rotation."""
    keys = [secret.get_secret_value().encode() for secret in settings.stripe_webhook_secret]
    signature = sign(body.encode(), keys, int(time.time()))
    return {"Stripe-Signature": signature, "Content-Type": "application/json"}


def _refused_event(where: str, answer: requests.Response) -> Finding:
    code = _code(answer)
    what = f"{where} was answered {answer.status_code}{f' {code}' if code else ''}"
    if answer.status_code in REDIRECTS:
        place = without_password(answer.headers.get("Location", ""))
        return Finding(
            "error",
            "test event",
            f"{what}, a redirect to {place}",
            "Stripe follows no redirect: register the final address (./billing stripe register), "
            "or correct the proxy.",
        )
    fix = _EVENT_FIXES.get(code) or (
        "The path is wrong, or a proxy does not pass it on: register https://…/api/webhook."
        if answer.status_code in (404, 405)
        else "Look at the API's log and at the proxy in front of it."
    )
    return Finding("error", "test event", what, fix)


_EVENT_FIXES = {
    "invalid_signature": "The running service has another STRIPE_WEBHOOK_SECRET than is set here, "
    "a proxy changes the body, or a clock is wrong. Compare with the endpoint's signing secret in "
    "Stripe's dashboard, and restart the API.",
    "host_not_allowed": "Add the public name to ALLOWED_HOSTS.",
    "too_many_waiting": "See the runbook: WebhooksRefused.",
    "store_unavailable": "Repair Redis first.",
}


def notification_trial(service: Service) -> Iterator[Finding]:
    """Have a signed test notification sent to the event service, and report its answer."""
    test_id = str(service.post("/notifications/test", {"by": "doctor", "reason": "doctor"})["id"])

    def attempt() -> Json:
        item = service.get(f"/items/{test_id}")
        attempts = [one for one in item["history"] if "outcome" in one]
        return attempts[-1] if attempts else {"outcome": ""}

    last = _await_attempt(attempt)
    if not last["outcome"]:
        what = f"no notifier tried the test notification {test_id} in {PATIENCE_SECONDS:.0f} s"
        yield Finding("error", "notification", what, "See the notifiers: ./billing queues.")
    elif last["outcome"] == "delivered":
        what = f"the event service accepted a test notification ({last.get('status')})"
        yield Finding("ok", "notification", what)
    else:
        yield _refused_notification(last)


def _refused_notification(last: Json) -> Finding:
    status, error = last.get("status"), last.get("error") or last["outcome"]
    what = f"the event service did not accept a test notification: {error}"
    fix = "Read the log of the event service; the service tries the notification again."
    if status in (400, 401, 403):
        fix = "Give both sides the same EVENT_SERVICE_SECRET, and compare their clocks."
    elif status in (404, 405):
        fix = "Correct EVENT_SERVICE_URL and EVENT_SERVICE_PATH."
    elif status in REDIRECTS:
        fix = (
            "The service follows no redirect: set EVENT_SERVICE_URL and EVENT_SERVICE_PATH to the "
            "final address."
        )
    elif status is None:
        fix = "Check EVENT_SERVICE_URL, its name, its port and the network."
    return Finding("error", "notification", what, fix)


def forgery_trial(settings: Settings) -> Iterator[Finding]:
    """Send the event service a test notification with a wrong signature, which it must refuse."""
    body = _forgery()
    payload, now = json.dumps(body), datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": str(body["id"]),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secrets.token_bytes(24)).sign(str(body["id"]), now, payload),
    }
    answer = send("POST", settings.notifications_url, data=payload, headers=headers)
    if answer.status_code in SUCCESS:
        yield Finding(
            "warning",
            "notification",
            "the event service accepts a wrong signature: anybody can forge a notification",
            "Make the event service verify webhook-signature (docs/receiver.md).",
        )
    else:
        what = f"the event service refuses a wrong signature ({answer.status_code})"
        yield Finding("ok", "notification", what)


def _forgery() -> Json:
    """Build a test notification that is in no outbox."""
    data = dict.fromkeys(TYPES[TEST].sometimes) | {"metadata": {"test": "true"}}
    name = base64.b32encode(secrets.token_bytes(20)).decode().lower()[:NOTIFICATION_ID_LENGTH]
    body = example(TEST)
    return body | {"id": f"ntf_{name}", "data": body["data"] | data}


def is_this_service(address: str) -> bool:
    """Say whether a billing API answers at an address: `/health` has its name."""
    try:
        answer = send("GET", address.rstrip("/") + "/health")
        return bool(answer.json().get("service") == "billing-service")
    except (Unavailable, ValueError, AttributeError):
        return False


def _await(look: Callable[[], str], states: tuple[str, ...]) -> str:
    until = time.monotonic() + PATIENCE_SECONDS
    while (state := look()) not in states and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return state


def _await_attempt(look: Callable[[], Json]) -> Json:
    until = time.monotonic() + PATIENCE_SECONDS
    while not (last := look())["outcome"] and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return last


def _code(answer: requests.Response) -> str:
    try:
        return str(answer.json().get("code", ""))
    except (ValueError, AttributeError):
        return ""
