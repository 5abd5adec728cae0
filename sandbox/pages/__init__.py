"""The sandbox's pages: the 3D Secure challenge, the checkout, the dashboard.

They are plain HTML, work without JavaScript and load nothing from other hosts. Every page says that
it is simulated.
"""

from aiohttp import web

from sandbox.pages import actions, challenge, checkout, dashboard, rendering


def routes(app: web.Application) -> None:
    """Add the pages to the application."""
    for part in (rendering, challenge, checkout, dashboard, actions):
        app.router.add_routes(part.ROUTES)
