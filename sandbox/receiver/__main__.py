"""Play the event service: take notifications, check their signatures, list what came.

`python -m sandbox.receiver`. Any POST path takes a notification; `GET /notifications` lists them;
`/_control/faults` makes it fail, so that retries can be watched.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sandbox.receiver.page import page
from sandbox.wire.serving import listen
from sandbox.wire.stopping import stopped
from sandbox.world.objects import Json

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 5050
OK: Final = 200
SUCCESS: Final = range(200, 300)
SIGNED_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass
class Failure:
    """Describe how the receiver fails: with what status, how often, for which notifications."""

    status: int = 500
    count: int | None = None
    delay_seconds: float = 0.0
    retry_after: int | None = None
    match: Json = field(default_factory=dict)

    def applies_to(self, body: Json) -> bool:
        """Tell whether the failure is still in force and meant for this notification."""
        if self.count is not None and self.count <= 0:
            return False
        data = body.get("data") or {}
        seen = {"type": body.get("type"), "payment_intent_id": data.get("payment_intent_id")}
        return all(seen.get(name) == value for name, value in self.match.items())


@dataclass
class Receiver:
    """Hold what came and how to fail."""

    secrets: list[str]
    path: Path | None = None
    came: list[Json] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    """Ids answered 2xx: one that comes again is a duplicate."""

    def restore(self) -> None:
        """Take over what an earlier run received."""
        if self.path is not None and self.path.exists():
            for line in self.path.read_text().splitlines():
                self._count(json.loads(line))

    def _count(self, entry: Json) -> None:
        self.came.append(entry)
        if entry["answered"] in SUCCESS:
            self.accepted.add(entry["id"])

    def record(self, entry: Json) -> None:
        """Keep a notification, on disk too if there is a state file."""
        self._count(entry)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def forget(self) -> None:
        """Drop what came."""
        self.came.clear()
        self.accepted.clear()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def verdict(self, headers: Json, payload: str) -> str:
        """Return whether the signature is valid, invalid, missing, or could not be checked."""
        if any(name not in headers for name in SIGNED_HEADERS):
            return "missing"
        if not self.secrets:
            return "unchecked"
        valid = any(_verifies(secret, headers, payload) for secret in self.secrets)
        return "valid" if valid else "invalid"

    def failure_for(self, body: Json) -> Failure | None:
        """Return the failure this notification meets, and count it as met."""
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
    app = web.Application()
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
    receiver, payload = request.app[RECEIVER], await request.text()
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = _parsed(payload)
    failure = receiver.failure_for(body)
    if failure is not None:
        await asyncio.sleep(failure.delay_seconds)
    status = OK if failure is None else failure.status
    signature = receiver.verdict(headers, payload)
    notification_id = headers.get("webhook-id") or body.get("id")
    receiver.record(
        {
            "id": notification_id,
            "type": body.get("type"),
            "received_at": time.time(),
            "path": request.path,
            "headers": headers,
            "body": body,
            "signature": signature,
            "verified": signature == "valid",
            "duplicate": notification_id in receiver.accepted,
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


def _parsed(payload: str) -> Json:
    try:
        body: Any = json.loads(payload)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


FILTERS: Final[dict[str, Callable[[Json], Any]]] = {
    "id": lambda entry: entry["id"],
    "type": lambda entry: entry["type"],
    "payment_intent_id": lambda entry: (entry["body"].get("data") or {}).get("payment_intent_id"),
}


async def _list(request: web.Request) -> web.Response:
    wanted = [(FILTERS[name], value) for name, value in request.query.items() if name in FILTERS]
    data = [
        entry
        for entry in request.app[RECEIVER].came
        if all(read(entry) == value for read, value in wanted)
    ]
    return web.json_response({"object": "list", "count": len(data), "data": data})


async def _forget(request: web.Request) -> web.Response:
    request.app[RECEIVER].forget()
    return web.json_response({"object": "list", "count": 0, "data": []})


async def _fail(request: web.Request) -> web.Response:
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
    return web.Response(text=page(request.app[RECEIVER].came), content_type="text/html")


async def serve() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    secrets = [part.strip() for part in os.environ.get("EVENT_SERVICE_SECRET", "").split(",")]
    state = os.environ.get("RECEIVER_STATE")
    receiver = Receiver([secret for secret in secrets if secret], Path(state) if state else None)
    receiver.restore()
    runner = web.AppRunner(create_app(receiver), access_log=None)
    port = await listen(runner, int(os.environ.get("RECEIVER_PORT", DEFAULT_PORT)))
    sys.stdout.write(f"receiver listening on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await stopped()
    await runner.cleanup()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(serve())
