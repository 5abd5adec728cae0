"""The keys of the objects that the web application carries for its routes."""

from typing import Final

from aiohttp import web

from sandbox.world.world import World

WORLD: Final = web.AppKey("world", World)
