"""Show the sandbox to a person. For now: the bare 3D Secure challenge."""

from html import escape

from aiohttp import web

from sandbox import challenges
from sandbox.app_keys import WORLD
from sandbox.errors import StripeError


def routes(app: web.Application) -> None:
    """Add the pages to the application."""
    app.router.add_get("/_sandbox/3ds/{id}", _challenge)
    app.router.add_post("/_sandbox/3ds/{id}", _answer)


async def _challenge(request: web.Request) -> web.Response:
    intent = escape(request.match_info["id"])
    buttons = "".join(
        f'<button name="outcome" value="{name}">{name}</button>' for name in challenges.OUTCOMES
    )
    body = f"<h1>Simulated 3D Secure</h1><p>{intent}</p><form method=post>{buttons}</form>"
    return web.Response(text=body, content_type="text/html")


async def _answer(request: web.Request) -> web.Response:
    form = await request.post()
    outcome = str(form.get("outcome"))
    world = request.app[WORLD]
    if outcome not in challenges.OUTCOMES:
        return web.Response(status=400, text="outcome must be complete, fail or cancel")
    try:
        intent = challenges.answer(world, request.match_info["id"], outcome)
    except StripeError as refusal:
        return web.Response(status=refusal.status, text=str(refusal))
    target = challenges.return_address(world, intent)
    if target is not None:
        raise web.HTTPSeeOther(target)
    return web.Response(text=f"{intent['id']} is {intent['status']}")
