"""Keep strangers' web pages out: what the sandbox and the receiver do is asked for on purpose.

A page in a developer's browser can send to loopback. It gives itself away by its `Origin`; by its
name in `Host`, where that name leads to loopback (DNS rebinding); or by a content type that a
browser sends without asking first (the Fetch standard's simple requests).
"""

import os
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE_METHODS: Final = ("GET", "HEAD")
OWN_SITE: Final = ("same-origin", "none")
SIMPLE_TYPES: Final = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def allowed_names() -> frozenset[str]:
    """Return the names under which we may be called: loopback's, and `SANDBOX_ALLOWED_HOSTS`."""
    given = os.environ.get("SANDBOX_ALLOWED_HOSTS", "").split(",")
    return LOOPBACK_NAMES | {name.strip() for name in given if name.strip()}


def is_known_host(request: web.Request) -> bool:
    """Tell whether a request calls us by one of our names; `*` among them allows any."""
    names = allowed_names()
    try:
        return "*" in names or urlsplit(f"//{request.host}").hostname in names
    except ValueError:
        return False


def is_own_page(request: web.Request) -> bool:
    """Tell whether a request comes from no page at all, or from one of ours."""
    origin = request.headers.get("Origin", f"http://{request.host}")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return origin == f"http://{request.host}" and site in OWN_SITE


def is_simple(request: web.Request) -> bool:
    """Tell whether any page could send this body without being asked for permission first."""
    return request.can_read_body and request.content_type in SIMPLE_TYPES


@web.middleware
async def known_callers_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a foreign `Host`, and a foreign page's request to change anything."""
    if not is_known_host(request):
        return _refused(request, "This Host is not known here; see SANDBOX_ALLOWED_HOSTS.")
    if request.method not in SAFE_METHODS and not is_own_page(request):
        return _refused(request, "A page of another origin may not do this.")
    return await handler(request)


def _refused(request: web.Request, message: str) -> web.Response:
    """Refuse a program with JSON and a person with a page."""
    if "text/html" not in request.headers.get("Accept", ""):
        return refusal(403, message)
    page = f'<!doctype html><html lang="en"><title>Refused</title><h1>Refused</h1><p>{message}</p>'
    return web.Response(text=page, status=403, content_type="text/html")


def refusal(status: int, message: str) -> web.Response:
    """Return a refusal in the shape of Stripe's errors."""
    error = {"type": "invalid_request_error", "message": message}
    return web.json_response({"error": error}, status=status)
