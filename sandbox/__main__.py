"""Run the sandbox: `python -m sandbox`."""

import asyncio
import gc
import logging
import os
import sys
from pathlib import Path
from typing import Final

from aiohttp import web

from sandbox.app import create_app
from sandbox.control.damage import named_when_damaged
from sandbox.control.state import Keeper
from sandbox.events_out import neighbourhood
from sandbox.events_out.webhook_endpoints import register
from sandbox.wire import versions
from sandbox.wire.serving import listen
from sandbox.wire.stopping import wait_for_stop
from sandbox.world.rate_limits import from_setting
from sandbox.world.world import DEFAULT_KEEP, World

DEFAULT_PORT: Final = 12111


async def serve() -> None:
    """Serve until SIGTERM or Ctrl-C, then save the state and end."""
    world = World(int(os.environ.get("SANDBOX_KEEP") or DEFAULT_KEEP))
    path = os.environ.get("SANDBOX_STATE")
    world.rate_limits.limit(from_setting(os.environ.get("SANDBOX_RATE_LIMITS", "")))
    keeper = Keeper(world, Path(path)) if path else None
    if keeper is not None:
        with named_when_damaged(path):
            keeper.restore()
    runner = web.AppRunner(create_app(world, keeper), access_log=None)
    port = await listen(runner, int(os.environ.get("SANDBOX_PORT", DEFAULT_PORT)))
    world.webhook_hosts |= set(os.environ.get("SANDBOX_WEBHOOK_HOSTS", "").split(",")) - {""}
    world.base_url = f"http://127.0.0.1:{port}"
    _register_endpoint(world)
    sys.stdout.write(f"sandbox listening on {world.base_url}\n")
    sys.stdout.flush()
    await wait_for_stop()
    await runner.cleanup()


def _register_endpoint(world: World) -> None:
    """Register the endpoint that the environment names, unless the state has it already."""
    url, secret = os.environ.get("SANDBOX_WEBHOOK_URL"), os.environ.get("SANDBOX_WEBHOOK_SECRET")
    if not url:
        return
    world.webhook_hosts.add(neighbourhood.host_of(url))
    scope = world.scope()
    for endpoint in list(scope.account.table("webhook_endpoint").values()):
        if endpoint["metadata"].get("registered_by") == "environment":
            scope.account.remove("webhook_endpoint", endpoint["id"])
    endpoint_params = {
        "url": url,
        "enabled_events": ["*"],
        "api_version": os.environ.get("SANDBOX_WEBHOOK_VERSION") or versions.LATEST,
        "description": "From SANDBOX_WEBHOOK_URL",
        "metadata": {"registered_by": "environment"},
    }
    register(scope, endpoint_params, secret)


if __name__ == "__main__":
    gc.freeze()  # modules live until the end; collecting them made the exit as slow as the start
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(serve())
