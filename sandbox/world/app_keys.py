"""Name what the application carries, for those who serve routes in it."""

from typing import Final

from aiohttp import web

from sandbox.world.world import World

WORLD: Final = web.AppKey("world", World)
