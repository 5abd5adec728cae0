"""Listen on loopback, on a given port or on any free one."""

import os
from typing import Final

from aiohttp import web

LOOPBACK: Final = "127.0.0.1"
"""What looks like Stripe and asks for no real key must not be reachable by strangers. Only inside a
container, where loopback is reachable for nobody, `SANDBOX_HOST` says otherwise."""
SHUTDOWN_SECONDS: Final = 1.0
"""Open calls get a second; a hanging one (a fault's time-out) must not hold up the end."""


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
