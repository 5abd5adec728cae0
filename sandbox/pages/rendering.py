"""Render templates, escaped, with headers that isolate the page."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
from aiohttp import web

from sandbox.objects import money
from sandbox.world.app_keys import WORLD
from sandbox.world.errors import StripeError
from sandbox.world.objects import Json
from sandbox.world.world import World

HERE: Final = Path(__file__).parent
STYLE: Final = (HERE / "style.css").read_text("utf-8")
SECURITY_HEADERS: Final = {
    # No form-action: the answer to a form redirects to the merchant, and browsers count that.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: a form's Origin would then be null, and the guard needs it.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PAGE_LENGTH: Final = 50
"""Rows on one page of a list."""

Page = Callable[[web.Request, World], Awaitable[web.StreamResponse]]


def page(handler: Page) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Serve a page; `known_callers_only` checks the caller for the whole application."""

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request, request.app[WORLD])
        except StripeError as refusal:
            status = HTTPStatus(refusal.status)
            return render("problem.html", status, message=refusal.error["message"])

    return serve


def render(template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> web.Response:
    """Return a page."""
    text = TEMPLATES.get_template(template).render(values)
    return web.Response(
        text=text, status=status, content_type="text/html", headers=SECURITY_HEADERS
    )


def go_to(address: str) -> web.Response:
    """Redirect the browser to an address with a GET."""
    headers = {"Location": address, **SECURITY_HEADERS}
    return web.Response(status=HTTPStatus.SEE_OTHER, headers=headers)


def position(request: web.Request) -> int:
    """Return the number of the requested page of a list, from 1 on."""
    number = request.query.get("page", "1")
    return max(1, int(number)) if number.isascii() and number.isdigit() else 1


def web_link(url: object) -> str | None:
    """Return an address that is safe to put in a link, or None (`javascript:` is not)."""
    text = str(url or "")
    return text if urlsplit(text).scheme in ("http", "https") else None


def _amount(record: Json) -> str:
    return (
        f"{money.format_amount(record['amount'], record['currency'])} {record['currency'].upper()}"
    )


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _words(name: object) -> str:
    return str(name).replace("_", " ")


async def _style(_: web.Request) -> web.Response:
    return web.Response(text=STYLE, content_type="text/css", headers=SECURITY_HEADERS)


TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update(amount=_amount, moment=_moment, words=_words, web_link=web_link)
TEMPLATES.filters["money"] = money.format_amount

ROUTES: Final = (web.get("/_sandbox/style.css", _style),)
