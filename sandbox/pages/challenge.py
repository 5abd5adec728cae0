"""The bank's 3D Secure page: complete, fail, or cancel."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from sandbox.intents import challenges
from sandbox.pages.rendering import go_to, page, render
from sandbox.world import errors
from sandbox.world.objects import Json
from sandbox.world.world import World


@page
async def _show(request: web.Request, world: World) -> web.StreamResponse:
    intent = _intent(world, request.match_info["id"])
    account = world.owner_of("payment_intent", intent["id"])
    method = account.find("payment_method", intent["payment_method"]) if account else None
    return render("challenge.html", intent=intent, method=method, path=request.path)


@page
async def _answer(request: web.Request, world: World) -> web.StreamResponse:
    outcome = str((await request.post()).get("outcome"))
    if outcome not in challenges.OUTCOMES:
        message = f"outcome must be one of {', '.join(challenges.OUTCOMES)}"
        return render("problem.html", HTTPStatus.BAD_REQUEST, message=message)
    intent = challenges.answer(world, request.match_info["id"], outcome)
    return go_to(challenges.return_address(world, intent) or request.path)


def _intent(world: World, intent_id: str) -> Json:
    account = world.owner_of("payment_intent", intent_id)
    if account is None:
        raise errors.missing("payment_intent", intent_id, "intent")
    return account.table("payment_intent")[intent_id]


_PATH: Final = "/_sandbox/3ds/{id}"
ROUTES: Final = (web.get(_PATH, _show), web.post(_PATH, _answer))
