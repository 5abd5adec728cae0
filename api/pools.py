"""Bulkheads: each class of requests has threads of its own and a bounded queue.

So requests that wait for a slow Stripe take no threads from other classes. The application is WSGI;
a request takes a thread only when it has arrived completely.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from api.messages import Answer, Request
from shared.deadline import deadline
from shared.errors import Unavailable
from shared.settings import Settings

WsgiApplication = Callable[..., Iterable[bytes]]
# Operators and reads: a few requests at a time, each for milliseconds.
FEW = 4
# Classes of routes: the first prefix that matches; all other routes only read.
CLASSES = (
    ("/api/payments", "reads"),
    ("/api/payment/", "payments"),
    ("/api/refund/", "refunds"),
    ("/ops", "operators"),
    ("/console", "operators"),
    ("/metrics", "probes"),
    ("/health", "probes"),
    ("/", "reads"),
)
HOP_BY_HOP = frozenset(("connection", "content-length", "transfer-encoding", "keep-alive"))


class Pool:
    """The threads of one class; all methods run in the event loop's thread."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._room = threads + waiting
        self._busy = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Do the work in a thread. Raises `Unavailable` at once when all threads are busy."""
        if self._busy >= self._room:
            raise too_busy()
        self._busy += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._leave)
        # When a client stops waiting, the work still continues: Stripe may have begun
        # it.
        return await asyncio.shield(future)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self, future: asyncio.Future[Answer]) -> None:
        self._busy -= 1
        if not future.cancelled():
            future.exception()  # the waiting request, if any, has the result


class Pools:
    """All pools of a process."""

    def __init__(self, settings: Settings) -> None:
        many = (settings.api_threads, settings.api_waiting)
        sizes = {"payments": many, "refunds": many}
        names = dict.fromkeys(name for _, name in CLASSES)
        self._pools = {name: Pool(name, *sizes.get(name, (FEW, FEW * 4))) for name in names}

    def of(self, path: str) -> Pool:
        """Return the pool that serves a path."""
        return self._pools[next(name for prefix, name in CLASSES if path.startswith(prefix))]

    def close(self) -> None:
        """Begin nothing more."""
        for pool in self._pools.values():
            pool.close()


def too_busy() -> Unavailable:
    """Build the refusal of work that has not begun: its idempotency key is free."""
    return Unavailable(
        "Too many requests of this kind are in progress; this one had no effect, try again.",
        code="too_busy",
        retry_after_seconds=1,
    )


@dataclass
class Call:
    """One call of the WSGI application, with its request and its answer."""

    application: WsgiApplication
    request: Request
    address: str

    def run(self, ends_at: float, clock: Callable[[], float]) -> Answer:
        """Call the application with a deadline. Raises `Unavailable` when it has passed already."""
        seconds = ends_at - clock()
        if seconds <= 0:
            raise too_busy()
        with deadline(seconds):
            return self._answer()

    def _answer(self) -> Answer:
        self._status, self._headers = 500, list[tuple[str, str]]()
        chunks = self.application(self._environ(), self._start)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        return Answer(self._status, self._headers, body)

    def _start(self, status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        dropped_headers = (
            HOP_BY_HOP - {"content-length"} if self.request.method == "HEAD" else HOP_BY_HOP
        )
        self._status = int(status[:3])
        self._headers = [pair for pair in headers if pair[0].lower() not in dropped_headers]

    def _environ(self) -> dict[str, Any]:
        """Build the environment of PEP 3333."""
        request = self.request
        host, _, port = request.headers.get("host", "").rpartition(":")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "SERVER_NAME": host or "localhost",
            "SERVER_PORT": port or "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.address,
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(request.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            # A header with an underscore would take another header's name; the body is no longer
            # chunked.
            if "_" in name or name in ("content-length", "transfer-encoding"):
                continue
            variable = name.upper().replace("-", "_")
            prefix = "" if variable == "CONTENT_TYPE" else "HTTP_"
            environ[prefix + variable] = value
        return environ
