"""Simulate the event service: receive notifications, check their signatures, list them.

`python -m sandbox.receiver`. A POST to any path is a notification; `GET /notifications` lists them;
`/_control/faults` makes the receiver fail, to watch the retries.
"""

import asyncio
import gc
import json
import logging
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sandbox.control.damage import named_when_damaged
from sandbox.receiver.notifications import DEFAULT_KEEP, Notifications
from sandbox.receiver.page import NEWEST, page
from sandbox.wire.guard import is_simple, known_callers_only, refusal
from sandbox.wire.serving import listen
from sandbox.wire.stopping import wait_for_stop
from sandbox.world.objects import Json

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 5050
OK: Final = 200
UNAUTHORIZED: Final = 401
SIGNED_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass
class Failure:
    """How the receiver fails: the status, how often, and for which notifications."""

    status: int = 500
    count: int | None = None
    delay_seconds: float = 0.0
    retry_after: int | None = None
    match: Json = field(default_factory=dict)

    def applies_to(self, body: Json) -> bool:
        """Say whether the failure is still active and applies to this notification."""
        if self.count is not None and self.count <= 0:
            return False
        data = body.get("data") or {}
        fields = data | {"type": body.get("type")}
        return all(fields.get(name) == value for name, value in self.match.items())


@dataclass
class Receiver:
    """The notifications received, and the active failures."""

    secrets: list[str]
    notifications: Notifications = field(default_factory=Notifications)
    failures: list[Failure] = field(default_factory=list)

    def verdict(self, headers: Json, payload: str) -> str:
        """Return whether the signature is valid, invalid, missing, or could not be checked."""
        if any(name not in headers for name in SIGNED_HEADERS):
            return "missing"
        if not self.secrets:
            return "unchecked"
        valid = any(_verifies(secret, headers, payload) for secret in self.secrets)
        return "valid" if valid else "invalid"

    def answer_to(self, signature: str) -> int:
        """Return the status for a signature; docs/receiver.md requires to refuse invalid ones."""
        is_refused = signature == "invalid" or (signature == "missing" and self.secrets)
        return UNAUTHORIZED if is_refused else OK

    def failure_for(self, body: Json) -> Failure | None:
        """Return the failure that applies to this notification, and count it."""
        for failure in self.failures:
            if failure.applies_to(body):
                if failure.count is not None:
                    failure.count -= 1
                return failure
        return None


def _verifies(secret: str, headers: Json, payload: str) -> bool:
    try:
        Webhook(secret).verify(payload, headers)
    except (WebhookVerificationError, ValueError):
        return False
    return True


RECEIVER: Final = web.AppKey("receiver", Receiver)


def create_app(receiver: Receiver) -> web.Application:
    """Return the web application over a receiver."""
    app = web.Application(middlewares=[known_callers_only])
    app[RECEIVER] = receiver
    app.router.add_get("/", _page)
    app.router.add_get("/health", _health)
    app.router.add_get("/notifications", _list)
    app.router.add_delete("/notifications", _forget)
    app.router.add_post("/_control/faults", _fail)
    app.router.add_delete("/_control/faults", _recover)
    app.router.add_post("/{path:.*}", _take)
    return app


async def _take(request: web.Request) -> web.Response:
    if is_simple(request):
        return refusal(415, "Send a notification as application/json.")
    receiver, payload = request.app[RECEIVER], await request.text()
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = _parse(payload)
    failure = receiver.failure_for(body)
    if failure is not None:
        await asyncio.sleep(failure.delay_seconds)
    signature = receiver.verdict(headers, payload)
    status = failure.status if failure else receiver.answer_to(signature)
    notification_id = headers.get("webhook-id") or body.get("id")
    receiver.notifications.add(
        {
            "id": notification_id,
            "type": body.get("type"),
            "received_at": time.time(),
            "path": request.path,
            "headers": headers,
            "body": body,
            "signature": signature,
            "verified": signature == "valid",
            "duplicate": receiver.notifications.was_accepted(notification_id),
            "answered": status,
        }
    )
    log.info(
        "%s %s: signature %s, answered %s", body.get("type"), notification_id, signature, status
    )
    return web.Response(status=status, headers=_retry_after(failure))


def _retry_after(failure: Failure | None) -> dict[str, str]:
    if failure is None or failure.retry_after is None:
        return {}
    return {"Retry-After": str(failure.retry_after)}


def _parse(payload: str) -> Json:
    try:
        body: Any = json.loads(payload)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


FILTERS: Final = ("id", "type", "payment_intent_id")


async def _list(request: web.Request) -> web.Response:
    criteria = {name: value for name, value in request.query.items() if name in FILTERS}
    texts = request.app[RECEIVER].notifications.matching(criteria)
    text = f'{{"object": "list", "count": {len(texts)}, "data": [{", ".join(texts)}]}}'
    return web.json_response(text=text)


async def _forget(request: web.Request) -> web.Response:
    request.app[RECEIVER].notifications.forget()
    return web.json_response({"object": "list", "count": 0, "data": []})


async def _fail(request: web.Request) -> web.Response:
    if is_simple(request):
        return refusal(415, "Send a fault as application/json.")
    try:
        failure = Failure(**await request.json())
    except (TypeError, ValueError) as problem:
        return web.json_response({"error": str(problem)}, status=400)
    request.app[RECEIVER].failures.append(failure)
    return web.json_response({"faults": len(request.app[RECEIVER].failures)})


async def _recover(request: web.Request) -> web.Response:
    request.app[RECEIVER].failures.clear()
    return web.json_response({"faults": 0})


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "healthy", "service": "event-receiver"})


async def _page(request: web.Request) -> web.Response:
    newest = request.app[RECEIVER].notifications.newest(NEWEST)
    return web.Response(text=page(newest), content_type="text/html")


async def serve() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    secrets = [part.strip() for part in os.environ.get("EVENT_SERVICE_SECRET", "").split(",")]
    state = os.environ.get("RECEIVER_STATE")
    keep = int(os.environ.get("RECEIVER_KEEP") or DEFAULT_KEEP)
    notifications = Notifications(keep, Path(state) if state else None)
    with named_when_damaged(state):
        notifications.restore()
    receiver = Receiver([secret for secret in secrets if secret], notifications)
    runner = web.AppRunner(create_app(receiver), access_log=None)
    port = await listen(runner, int(os.environ.get("RECEIVER_PORT", DEFAULT_PORT)))
    sys.stdout.write(f"receiver listening on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await wait_for_stop()
    await runner.cleanup()


if __name__ == "__main__":
    gc.freeze()  # modules live until the end; collecting them made the exit as slow as the start
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(serve())
