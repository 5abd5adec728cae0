"""Put the sandbox together: the world, the API, the control routes, the pages, the ticker."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Final

from aiohttp import web

from sandbox import pages
from sandbox.control import routes as control
from sandbox.control import state
from sandbox.events_out import listen
from sandbox.events_out.postman import Postman
from sandbox.routes import ROUTES
from sandbox.transport import Transport
from sandbox.wire.guard import known_callers_only
from sandbox.world.app_keys import WORLD
from sandbox.world.world import World

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 60.0
"""Seconds. Longest sleep of the ticker, and so the longest delay after a missed wake-up."""
MAX_BODY_BYTES: Final = 1024 * 1024


def create_app(world: World, keeper: state.Keeper | None = None) -> web.Application:
    """Return the web application that simulates Stripe with this world."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[known_callers_only])
    app[WORLD] = world
    transport = Transport(world, ROUTES)
    control.routes(app)
    pages.routes(app)
    listen.routes(app)
    for prefix in ("/v1/", "/v2/"):
        app.router.add_route("*", prefix + "{rest:.*}", transport.handle)
    app.on_response_prepare.append(_tell_time)
    ticker = Ticker(world, Postman(world), keeper)
    app.cleanup_ctx.append(ticker.running)
    return app


async def _tell_time(request: web.Request, response: web.StreamResponse) -> None:
    """Put the sandbox's time into the `Date` header, with which clients compare events."""
    response.headers["Date"] = formatdate(request.app[WORLD].clock.now(), usegmt=True)


class Ticker:
    """Run the world's jobs when they are due, and let the keeper save its changes."""

    def __init__(self, world: World, postman: Postman, keeper: state.Keeper | None) -> None:
        self._world = world
        self._postman = postman
        self._keeper = keeper
        self._wake = asyncio.Event()

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Tick for as long as the application runs."""
        self._world.on_change = self._note_change
        tasks = [asyncio.create_task(self._tick())]
        if self._keeper is not None:
            tasks.append(asyncio.create_task(self._keeper.keep_saving()))
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._postman.close()
        if self._keeper is not None:
            self._keeper.close()

    def _note_change(self) -> None:
        self._wake.set()
        if self._keeper is not None:
            self._keeper.changed()

    async def _tick(self) -> None:
        while True:
            self._wake.clear()
            self._world.run_due_jobs()
            due = self._world.clock.next_due()
            wait = IDLE_SECONDS if due is None else due - self._world.clock.now()
            # Not wait_for: before Python 3.12 it may lose the cancellation that ends this task.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(max(wait, 0.0), IDLE_SECONDS)):
                    await self._wake.wait()
