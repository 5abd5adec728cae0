"""The front: one port, every request whole before it costs anything, each class on its own.

/health        answered here, needs nothing
/api/webhook   verified and recorded here, in the event loop
all else       Flask, in the threads of its class (`api/pools.py`)
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from flask import Flask

from api.answers import mistake, problem_answer
from api.health import HEALTHY, READY_SECONDS
from api.http1 import LAST_REQUESTS_SECONDS, Connection, Connections
from api.messages import Answer, Fault, Request
from api.parts import EXTENSION, Parts
from api.pools import Call, Pools
from api.refund import LONGEST_WAIT_SECONDS
from api.request_context import identify, tell
from api.webhook import WebhookDoor
from shared.errors import BillingError, CallerError, Unavailable
from shared.settings import Settings
from shared.store.connection import connect_async
from shared.store.pipe import Pipe
from shared.stripe.endpoints import WEBHOOK_PATH
from shared.telemetry.tally import HTTP_REQUESTS, OTHER

# Stripe waits 10 s for an answer to a webhook; the rest is for a second process's queue.
RECORD_SECONDS = 4.0
# The application answers by the deadline; the front does, for one that does not, a moment later.
AFTER_DEADLINE_SECONDS = 1.0
# Time to write the last answers, and for whoever watches the process to see that it has ended.
LAST_ANSWERS_SECONDS = 1.0
# A refund that somebody waits for needs a moment to be recorded and read.
BESIDE_WAIT_SECONDS = 3.0
# Connections the kernel holds until we take them.
BACKLOG = 2048


class Front:
    """Serve one application on listening sockets; all of it in one event loop and its pools."""

    def __init__(self, app: Flask) -> None:
        parts: Parts = app.extensions[EXTENSION]
        self._application = app.wsgi_app
        self._settings = parts.settings
        self._tally = parts.store.tally
        self._draining = parts.draining
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        client = connect_async(self._settings, "billing-api")
        self._pipe = Pipe(client, "record", parts.store.replicas_required, RECORD_SECONDS)
        self._webhooks = WebhookDoor(self._settings, parts.inbox, self._pipe, self._tally)
        self._pools = Pools(self._settings)
        self._connections = Connections(self._settings, self.serve, self.refusal)
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[tuple[socket.socket, asyncio.Server]] = []

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Begin to accept."""
        loop = self._loop
        self._opening = loop.create_task(self._pipe.open())
        for one in sockets:
            server = await loop.create_server(self._connections.accept, sock=one, backlog=BACKLOG)
            self._servers.append((one, server))

    async def stop(self) -> None:
        """Accept nothing more, finish what has begun, and end within `grace_seconds`."""
        self._draining.set()
        await self._close_door()
        await self._connections.stop(grace_seconds(self._settings))
        self._pools.close()
        self._opening.cancel()
        await self._pipe.close()

    async def _close_door(self) -> None:
        """Stop listening, and take everybody whom the kernel has connected: it would reset them."""
        for listening, _ in self._servers:
            self._loop.remove_reader(listening)
        await asyncio.sleep(0)  # the server makes connections of those it has accepted
        for listening, server in self._servers:
            clients = _connected(listening)
            server.close()
            for client in clients:
                await self._loop.connect_accepted_socket(self._connections.accept, client)

    def refusal(self, fault: Fault) -> Answer:
        """Answer a request that never became whole."""
        identity = identify("", "", "unreadable")
        kind = Unavailable if fault.retry_after_seconds else CallerError
        error = kind(fault.detail, code=fault.code, retry_after_seconds=fault.retry_after_seconds)
        error.status = fault.status
        self._tell(OTHER, OTHER, fault.status, 0.0, identity.request_id)
        return problem_answer(identity, error)

    def serve(self, connection: Connection, request: Request) -> None:
        """Have a whole request answered."""
        if request.path == "/health" and request.method in ("GET", "HEAD"):
            connection.answer(self._health(request))
            return
        # An endpoint that was registered with a slash at its end gets its events, too.
        if request.path.removesuffix("/") == WEBHOOK_PATH and request.method == "POST":
            self._webhooks.receive(request, self._address(request), connection.answer)
            return
        task = self._loop.create_task(self._answer(connection, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: Connection, request: Request) -> None:
        try:
            answer = await self._apply(request)
        except Exception as defect:  # noqa: BLE001  # the edge: the caller hears of whatever it was
            answer = self._own(request, mistake(defect))
        connection.answer(answer)

    async def _apply(self, request: Request) -> Answer:
        """Have the application answer in a thread of the request's class, by its deadline."""
        seconds = self._seconds(request.path)
        call = Call(self._application, request, self._address(request))
        ends_at = self._clock() + seconds
        work: Callable[[], Answer] = lambda: call.run(ends_at, self._clock)  # noqa: E731  # one use
        try:
            async with asyncio.timeout(seconds + AFTER_DEADLINE_SECONDS):
                return await self._pools.of(request.path).run(work)
        except Unavailable as error:
            return self._own(request, error)
        except TimeoutError:
            return self._own(request, _too_slow())

    def _seconds(self, path: str) -> float:
        """Give the total deadline of a request."""
        if path == "/health/ready":
            return READY_SECONDS
        if path == "/api/refund/process":
            return LONGEST_WAIT_SECONDS + BESIDE_WAIT_SECONDS
        return self._settings.request_timeout_seconds

    def _health(self, request: Request) -> Answer:
        seconds = time.perf_counter() - request.began_at
        self._tally.request("/health", request.method, 200, seconds)
        identity = identify(request.headers.get("x-request-id", ""), "", "GET /health")
        return identity.answer(HEALTHY)

    def _own(self, request: Request, error: BillingError) -> Answer:
        """Answer for the application, which was not asked or did not answer."""
        identity = identify(request.headers.get("x-request-id", ""), "", "refused")
        seconds = time.perf_counter() - request.began_at
        self._tell(OTHER, request.method, error.status, seconds, identity.request_id)
        return problem_answer(identity, error)

    def _tell(self, route: str, method: str, status: int, seconds: float, request_id: str) -> None:
        known = method if method in ("GET", "POST") else OTHER
        self._tally.count(HTTP_REQUESTS, route=route, method=known, status=str(status))
        tell(route, known, status, seconds, request_id=request_id)

    def _address(self, request: Request) -> str:
        """Give the client's address: the peer, or what a trusted proxy says of it.

        Each proxy adds its peer at the right of X-Forwarded-For; what is left of those that are
        trusted is anybody's word.
        """
        trusted = self._settings.trusted_proxies
        if not trusted:
            return request.peer
        hops = request.headers.get("x-forwarded-for", "").split(",")
        return (hops[-trusted].strip() if len(hops) >= trusted else "") or request.peer


def _connected(listening: socket.socket) -> list[socket.socket]:
    """Take the clients that the kernel has connected and we have not seen."""
    taken = []
    with suppress(BlockingIOError):
        while True:
            client, _ = listening.accept()
            client.setblocking(False)
            taken.append(client)
    return taken


def grace_seconds(settings: Settings) -> float:
    """Give the time in which an API process that is told to stop finishes what it has begun.

    The last request may come a moment after that, and has its whole deadline. A refund that
    somebody waits for is answered at once then: it goes on without them.
    """
    answered = settings.request_timeout_seconds + AFTER_DEADLINE_SECONDS
    return LAST_REQUESTS_SECONDS + answered + LAST_ANSWERS_SECONDS


def _too_slow() -> Unavailable:
    return Unavailable(
        "This took longer than a request may; try again with the same Idempotency-Key.",
        code="deadline_exceeded",
        retry_after_seconds=5,
        outcome_known=False,
    )
