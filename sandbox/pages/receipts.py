"""Show the receipt of a paid charge: `receipt_url` leads here."""

from html import escape

from aiohttp import web

from sandbox.objects import money
from sandbox.world.app_keys import WORLD


def routes(app: web.Application) -> None:
    """Add the receipt page to the application."""
    app.router.add_get("/_sandbox/receipts/{id}", _receipt)


async def _receipt(request: web.Request) -> web.Response:
    charge_id, world = request.match_info["id"], request.app[WORLD]
    account = world.owner_of("charge", charge_id)
    if account is None:
        raise web.HTTPNotFound(text="There is no such charge.")
    charge = account.table("charge")[charge_id]
    amount = money.formatted(charge["amount_captured"], charge["currency"])
    returned = money.formatted(charge["amount_refunded"], charge["currency"])
    text = (
        f"<!doctype html><meta charset=utf-8><title>Receipt</title><h1>Simulated receipt</h1>"
        f"<p>{escape(charge_id)}</p><p>Paid {escape(amount)} {charge['currency']}, "
        f"refunded {escape(returned)}.</p>"
    )
    return web.Response(text=text, content_type="text/html")
