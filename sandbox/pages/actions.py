"""The actions of the dashboard's buttons; each then returns the browser to its page."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from sandbox.cards.test_data import DisputeKind
from sandbox.events_out import deliveries
from sandbox.objects import disputes, refunds
from sandbox.pages.dashboard import DISPUTE_KINDS, REFUND_CAN_FAIL
from sandbox.pages.rendering import go_to, page, render
from sandbox.world import errors
from sandbox.world.objects import Json
from sandbox.world.world import Scope, World

FAILURE_REASON: Final = "lost_or_stolen_card"


@page
async def _send_again(request: web.Request, world: World) -> web.StreamResponse:
    """Send an event to every subscribed endpoint and to every running `stripe listen`."""
    scope, event = _find_payment(world, "event", request.match_info["id"])
    deliveries.send_again(scope, event)
    deliveries.publish_to_sinks(world, event)
    world.on_change()
    return go_to(f"/events/{event['id']}?note=sent")


@page
async def _dispute(request: web.Request, world: World) -> web.StreamResponse:
    scope, charge = _find_payment(world, "charge", request.match_info["id"])
    kind = str((await request.post()).get("kind"))
    if kind not in DISPUTE_KINDS:
        message = f"kind must be one of {', '.join(DISPUTE_KINDS)}"
        return render("problem.html", HTTPStatus.BAD_REQUEST, message=message)
    if not charge["captured"]:
        raise errors.impossible("Only a charge that succeeded and was captured can be disputed.")
    disputes.open_dispute(scope, charge, DisputeKind(kind), None)
    world.on_change()
    return go_to(f"/payments/{charge['payment_intent']}?note=disputed")


@page
async def _fail(request: web.Request, world: World) -> web.StreamResponse:
    scope, refund = _find_payment(world, "refund", request.match_info["id"])
    if refund["status"] not in REFUND_CAN_FAIL:
        raise errors.impossible(f"This refund has a status of {refund['status']}.")
    refunds.fail(scope, refund, FAILURE_REASON)
    world.on_change()
    return go_to(f"/payments/{refund['payment_intent']}?note=failed")


def _find_payment(world: World, kind: str, object_id: str) -> tuple[Scope, Json]:
    account = world.owner_of(kind, object_id)
    if account is None:
        raise errors.missing(kind, object_id, "id")
    return world.scope(account.id), account.table(kind)[object_id]


ROUTES: Final = (
    web.post("/events/{id}/send_again", _send_again),
    web.post("/charges/{id}/dispute", _dispute),
    web.post("/refunds/{id}/fail", _fail),
)
