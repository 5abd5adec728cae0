"""Listen on loopback, on a given port or on any free one."""

import os
from typing import Final

from aiohttp import web

LOOPBACK: Final = "127.0.0.1"
"""The sandbox accepts any test key, so other machines must not reach it. Inside a container, where
nobody else reaches loopback, `SANDBOX_HOST` sets another address."""
SHUTDOWN_SECONDS: Final = 1.0
"""Seconds for open calls at a stop; one that hangs by a fault must not delay it."""


async def listen(runner: web.AppRunner, port: int) -> int:
    """Serve the application and return the port; 0 asks for a free one."""
    await runner.setup()
    site = web.TCPSite(
        runner, os.environ.get("SANDBOX_HOST", LOOPBACK), port, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await site.start()
    for address in runner.addresses:
        return int(address[1])
    return port
