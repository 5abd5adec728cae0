"""The front: one port, which reads each request completely before any work for it begins.

/health        answered here, without any dependency
/api/webhook   verified and recorded here, in the event loop
all else       Flask, in the threads of the request's class (`api/pools.py`)
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

# Stripe waits 10 s for an answer to a webhook; the rest is for time in the queue of the process.
RECORD_SECONDS = 4.0
# The application answers by the deadline; if it does not, the front answers this much later.
AFTER_DEADLINE_SECONDS = 1.0
# Time to write the last answers, and for the supervisor to notice the end of the process.
LAST_ANSWERS_SECONDS = 1.0
# Time to record and read a refund, besides the wait for its outcome.
BESIDE_WAIT_SECONDS = 3.0
# Connections that the kernel queues until this process accepts them.
BACKLOG = 2048


class Front:
    """Serve one application on listening sockets, in one event loop and its thread pools."""

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
        """Begin to accept connections on these listening sockets."""
        loop = self._loop
        self._opening = loop.create_task(self._pipe.open())
        for one in sockets:
            server = await loop.create_server(self._connections.accept, sock=one, backlog=BACKLOG)
            self._servers.append((one, server))

    async def stop(self) -> None:
        """Stop accepting, finish the requests that have begun, and end within `grace_seconds`."""
        self._draining.set()
        await self._close_door()
        await self._connections.stop(grace_seconds(self._settings))
        self._pools.close()
        self._opening.cancel()
        await self._pipe.close()

    async def _close_door(self) -> None:
        """Stop listening, and accept the clients in the kernel's queue, which it would reset."""
        for listening, _ in self._servers:
            self._loop.remove_reader(listening)
        await asyncio.sleep(0)  # lets the server create connections for clients it has accepted
        for listening, server in self._servers:
            clients = _accept(listening)
            server.close()
            for client in clients:
                await self._loop.connect_accepted_socket(self._connections.accept, client)

    def refusal(self, fault: Fault) -> Answer:
        """Build the answer to a request that was refused before it was read completely."""
        identity = identify("", "", "unreadable")
        kind = Unavailable if fault.retry_after_seconds else CallerError
        error = kind(fault.detail, code=fault.code, retry_after_seconds=fault.retry_after_seconds)
        error.status = fault.status
        self._tell(OTHER, OTHER, fault.status, 0.0, identity.request_id)
        return problem_answer(identity, error)

    def serve(self, connection: Connection, request: Request) -> None:
        """Answer a complete request: here, by the webhook's door, or by the application."""
        if request.path == "/health" and request.method in ("GET", "HEAD"):
            connection.answer(self._health(request))
            return
        # An endpoint may have been registered at Stripe with a slash at its end.
        if request.path.removesuffix("/") == WEBHOOK_PATH and request.method == "POST":
            self._webhooks.receive(request, self._address(request), connection.answer)
            return
        task = self._loop.create_task(self._answer(connection, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: Connection, request: Request) -> None:
        try:
            answer = await self._apply(request)
        except Exception as defect:  # noqa: BLE001  # the edge: every defect becomes an answer
            answer = self._own(request, mistake(defect))
        connection.answer(answer)

    async def _apply(self, request: Request) -> Answer:
        """Let the application answer in a thread of the request's class, by its deadline."""
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
        """Return the total deadline of a request, in seconds."""
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
        """Build the answer if the application was not called or did not answer."""
        identity = identify(request.headers.get("x-request-id", ""), "", "refused")
        seconds = time.perf_counter() - request.began_at
        self._tell(OTHER, request.method, error.status, seconds, identity.request_id)
        return problem_answer(identity, error)

    def _tell(self, route: str, method: str, status: int, seconds: float, request_id: str) -> None:
        label = method if method in ("GET", "POST") else OTHER
        self._tally.count(HTTP_REQUESTS, route=route, method=label, status=str(status))
        tell(route, label, status, seconds, request_id=request_id)

    def _address(self, request: Request) -> str:
        """Return the client's address: that of the peer, or the one that a trusted proxy reports.

        Each proxy appends its peer to X-Forwarded-For; entries before those of the trusted proxies
        may be forged.
        """
        trusted = self._settings.trusted_proxies
        if not trusted:
            return request.peer
        hops = request.headers.get("x-forwarded-for", "").split(",")
        return (hops[-trusted].strip() if len(hops) >= trusted else "") or request.peer


def _accept(listening: socket.socket) -> list[socket.socket]:
    """Accept the clients in the kernel's queue of a listening socket."""
    clients = []
    with suppress(BlockingIOError):
        while True:
            client, _ = listening.accept()
            client.setblocking(False)
            clients.append(client)
    return clients


def grace_seconds(settings: Settings) -> float:
    """Return the time that an API process needs to finish its requests after a signal to stop.

    The last request may arrive a moment after the signal, and has its whole deadline. A caller who
    waits for a refund is answered at once: the refund job continues.
    """
    answered = settings.request_timeout_seconds + AFTER_DEADLINE_SECONDS
    return LAST_REQUESTS_SECONDS + answered + LAST_ANSWERS_SECONDS


def _too_slow() -> Unavailable:
    return Unavailable(
        "The request exceeded its time limit; try again with the same Idempotency-Key.",
        code="deadline_exceeded",
        retry_after_seconds=5,
        outcome_known=False,
    )
