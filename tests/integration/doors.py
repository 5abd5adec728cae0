"""The API behind its real HTTP server on a loopback port: tests call it as clients do."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse

from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI

from api.app import create_app
from api.front import Front
from api.parts import EXTENSION, Parts
from shared.settings import Settings
from shared.store.scripts import Store

ANSWER_SECONDS = 60.0
_open: list[Door] = []
# Applications that the test uses, and what their routes and hooks were built with.
_used: list[tuple[tuple[Any, ...], OpenAPI]] = []
# Applications that no server uses now, by the settings that their routes and hooks were built with.
_idle: defaultdict[tuple[Any, ...], list[OpenAPI]] = defaultdict(list)


class Door:
    """An HTTP server in a thread; as a WSGI application it passes requests on."""

    def __init__(self, settings: Settings, store: Store | None) -> None:
        self.app = application(settings, store)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self._ready.wait()
        self.app.wsgi_app = self  # type: ignore[method-assign]  # the front has the real one

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        front = Front(self.app)
        await front.start([self._listening])
        self._ready.set()
        await self._stop.wait()
        await front.stop()

    def close(self) -> None:
        """Stop the server, unless it has stopped."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        del self.app.wsgi_app

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Keep the event loop busy during the block, and make it stop directly afterwards."""
        busy, end = threading.Event(), threading.Event()

        def stop() -> None:
            busy.set()
            end.wait(ANSWER_SECONDS)
            self._stop.set()

        self._loop.call_soon_threadsafe(stop)
        busy.wait(ANSWER_SECONDS)
        yield
        end.set()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Send the request over HTTP and return the answer unchanged."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            headers = dict(_headers(environ))
            chunked = "Transfer-Encoding" in headers
            body = environ["wsgi.input"].read()
            if not chunked and (body or environ["REQUEST_METHOD"] == "POST"):
                headers["Content-Length"] = str(len(body)).encode()
            connection.request(
                environ["REQUEST_METHOD"],
                _target(environ),
                iter([body]) if chunked else body,
                headers,
                encode_chunked=chunked,
            )
            answer = connection.getresponse()
            start_response(f"{answer.status} {answer.reason}", answer.getheaders())
            return [answer.read()]
        finally:
            connection.close()


def _headers(environ: dict[str, Any]) -> Iterable[tuple[str, bytes]]:
    for name, value in environ.items():
        if name.startswith("HTTP_") or name == "CONTENT_TYPE":
            spelled = name.removeprefix("HTTP_").replace("_", "-").title()
            yield spelled, _encoded(str(value))


def _target(environ: dict[str, Any]) -> str:
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~")
    return f"{path}?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else path


def _encoded(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()  # as a client does that sets no such header


def application(settings: Settings, store: Store | None = None) -> OpenAPI:
    """Return an application for one test; it reuses routes, which take long to build."""
    routed_for = (settings.max_body_bytes, settings.host, settings.allowed_hosts)
    if store is None or not _idle[routed_for]:
        app = create_app(settings, store)
    else:
        app = _idle[routed_for].pop()
        app.extensions[EXTENSION] = Parts.build(settings, store)
    _used.append((routed_for, app))
    return app


def open_door(settings: Settings, store: Store | None = None) -> FlaskClient:
    """Serve the application by the real HTTP server until the test ends; return a client."""
    if store is not None:
        where = store.redis.connection_pool.connection_kwargs
        url = f"redis://{where['host']}:{where['port']}/{where.get('db', 0)}"
        settings = settings.model_copy(update={"redis_url": url})
    door = Door(settings, store)
    _open.append(door)
    return door.app.test_client()


def close_doors() -> None:
    """Stop every HTTP server of the test, whose applications the next may use."""
    while _open:
        _open.pop().close()
    while _used:
        routed_for, app = _used.pop()
        _idle[routed_for].append(app)
