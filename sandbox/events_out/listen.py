"""Serve `stripe listen`: a session over HTTP, then a websocket through which events are pushed.

The CLI posts each event with unchanged body and headers to the developer's local URL, and reports
the answer. It does not sign: the sandbox signs exactly the bytes that it pushes, with a secret that
is the same for every session of an API key, as `--print-secret` requires.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

from sandbox.events_out import signing
from sandbox.events_out.postman import KEPT_BODY_CHARACTERS, USER_AGENT
from sandbox.wire import authentication, forms, versions
from sandbox.world import ids
from sandbox.world.app_keys import WORLD
from sandbox.world.errors import StripeError
from sandbox.world.mail import Sink
from sandbox.world.objects import Json, indented
from sandbox.world.world import World

log = logging.getLogger(__name__)

SNAPSHOT: Final = "webhooks"
THIN: Final = "v2_events"
THIN_OBJECT: Final = "v2.core.event"
PROTOCOL: Final = "stripecli-devproxy-v1"
RECONNECT_SECONDS: Final = 3600
"""Seconds after which the CLI reconnects; 0 would mean a minute."""
HELD_EVENTS: Final = 1000
"""Most events stored for a session, unsent or unreported; the oldest are dropped."""
GONE_SECONDS: Final = 30.0
"""Seconds for which a session without a connection gets events; the CLI reconnects within one."""
SUCCESS: Final = range(200, 300)


@dataclass
class Session:
    """One `stripe listen`: its secret, its connection, and the events to send to it."""

    id: str
    secret: str
    features: frozenset[str]
    waiting: deque[Json] = field(default_factory=lambda: deque(maxlen=HELD_EVENTS))
    news: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    pushed: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {SNAPSHOT: False, THIN: True}
        self.sinks = [
            Sink(self.secret, self.put, thin)
            for feature, thin in kinds.items()
            if feature in self.features
        ]

    def put(self, event: Json) -> None:
        """Queue an event for the session; returns at once."""
        self.waiting.append(event)
        self.news.set()

    def remember(self, conversation: str, event: Json) -> None:
        """Store a pushed event until the CLI reports on it, which it does not if it filters it."""
        self.pushed[conversation] = event
        if len(self.pushed) > HELD_EVENTS:
            del self.pushed[next(iter(self.pushed))]


class Listeners:
    """Hold the sessions and serve their two routes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Session] = {}
        self._sockets: set[web.WebSocketResponse] = set()

    async def create(self, request: web.Request) -> web.Response:
        """Answer `POST /v1/stripecli/sessions`."""
        headers = {"Request-Id": ids.new_id("request"), "Stripe-Version": versions.ACCOUNT_DEFAULT}
        authorization = request.headers.get("Authorization", "")
        try:
            authentication.check(authorization)
            params = forms.decode(await request.text())
        except StripeError as refusal:
            error = {"error": refusal.error}
            return web.json_response(error, status=refusal.status, headers=headers)
        features = frozenset(params.get("websocket_features", [SNAPSHOT]))
        session = Session("cliws_" + ids.random_text(24), _secret(authorization), features)
        # Events are queued from now on, so that none is lost before the CLI connects.
        self._sessions[session.id] = session
        self._world.mail.sinks.extend(session.sinks)
        self._end_soon(session)
        host = self._world.base_url.partition("://")[2]
        answer = {
            "object": "stripecli.session",
            "websocket_id": session.id,
            "websocket_url": f"ws://{host}/_sandbox/stripecli/{session.id}",
            "websocket_authorized_feature": SNAPSHOT,
            "secret": session.secret,
            "reconnect_delay": RECONNECT_SECONDS,
            "default_version": versions.ACCOUNT_DEFAULT,
            "latest_version": versions.LATEST,
            "display_connect_filter_warning": False,
            "device_token": "",
        }
        return web.json_response(answer, headers=headers)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Push events to one CLI while it is connected."""
        session = self._sessions.get(request.headers.get("Websocket-Id", ""))
        if session is None or session.id != request.match_info["id"]:
            return web.json_response({"error": {"message": "Unknown WebSocket ID."}}, status=400)
        socket = web.WebSocketResponse(protocols=(PROTOCOL,))
        await socket.prepare(request)
        self._sockets.add(socket)
        session.connections += 1
        pushing = asyncio.create_task(_push(session, socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._receive(session, message.data)
        finally:
            pushing.cancel()
            self._sockets.discard(socket)
            session.connections -= 1
            self._end_soon(session)
        return socket

    def _end_soon(self, session: Session) -> None:
        asyncio.get_running_loop().call_later(GONE_SECONDS, self._end, session)

    def _end(self, session: Session) -> None:
        """End a session whose CLI did not reconnect."""
        if session.connections > 0 or session.id not in self._sessions:
            return
        del self._sessions[session.id]
        for sink in session.sinks:
            self._world.mail.sinks.remove(sink)

    def _receive(self, session: Session, text: str) -> None:
        """Store the answer to a forwarded event, which the deliveries page lists."""
        try:
            report: Any = json.loads(text)
        except ValueError:
            return
        if not isinstance(report, dict) or report.get("type") != "webhook_response":
            return
        event = session.pushed.pop(str(report.get("webhook_conversation_id")), None)
        if event is not None:
            record = self._delivery(session, event, report)
            self._world.mail.keep(record)
            self._world.on_change()

    def _delivery(self, session: Session, event: Json, report: Json) -> Json:
        status, now = report.get("status"), self._world.clock.now()
        attempt = {
            "at": now,
            "status": status,
            "error": None,
            "body": str(report.get("body") or "")[:KEPT_BODY_CHARACTERS],
        }
        return {
            "id": ids.new_id("delivery"),
            "event": event.get("snapshot_event", event["id"]),
            "type": event["type"],
            "account": event.get("account"),
            "endpoint": "stripe listen",
            "endpoint_account": None,
            "url": report.get("forward_url"),
            "payload": indented(event),
            "created": int(now),
            "state": "delivered" if status in SUCCESS else "failed",
            "attempts": [attempt],
            "next_attempt_at": None,
            "session": session.id,
        }

    async def hang_up(self, _: web.Application) -> None:
        """Close the websockets, because the server waits for its connections at a stop."""
        for socket in list(self._sockets):
            await socket.close(message=b"the sandbox stops")


async def _push(session: Session, socket: web.WebSocketResponse) -> None:
    while True:
        while session.waiting:
            # Removed only after it was sent, so that a broken connection loses no event.
            await socket.send_str(_message(session, session.waiting[0]))
            session.waiting.popleft()
        session.news.clear()
        await session.news.wait()


def _message(session: Session, event: Json) -> str:
    """Return one websocket message: the event as a string, and headers that sign that string."""
    payload = indented(event)
    conversation = "wc_" + ids.random_text(24)
    session.remember(conversation, event)
    signature = signing.signature_header(payload.encode(), [session.secret], int(time.time()))
    headers = {
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature,
        "User-Agent": USER_AGENT,
    }
    if event["object"] == THIN_OBJECT:
        thin = {"type": "v2_event", "payload": payload, "destination_id": "ed_test_cli"}
        return json.dumps(thin | {"http_headers": headers})
    return json.dumps(
        {
            "type": "webhook_event",
            "event_payload": payload,
            "http_headers": headers,
            # Null on purpose: the CLI drops events of an endpoint with a version of its own.
            "endpoint": {"api_version": None},
            "webhook_id": "wh_" + ids.random_text(24),
            "webhook_conversation_id": conversation,
        }
    )


def _secret(authorization: str) -> str:
    digest = hashlib.sha256(b"stripe listen " + authorization.encode()).hexdigest()
    return "whsec_" + digest


def routes(app: web.Application) -> None:
    """Add the routes of `stripe listen` to the application."""
    listeners = Listeners(app[WORLD])
    app.router.add_post("/v1/stripecli/sessions", listeners.create)
    app.router.add_get("/_sandbox/stripecli/{id}", listeners.connect)
    app.on_shutdown.append(listeners.hang_up)
