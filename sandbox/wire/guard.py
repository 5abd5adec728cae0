"""Refuse requests of foreign web pages to the sandbox and the receiver.

A page in a developer's browser can send requests to loopback. They are recognised by `Origin`, by a
foreign name in `Host` (DNS rebinding), or by a content type that a browser sends without a
preflight request (the Fetch standard's simple requests).
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
    """Return the accepted values of `Host`: loopback's, and those of `SANDBOX_ALLOWED_HOSTS`."""
    names = os.environ.get("SANDBOX_ALLOWED_HOSTS", "").split(",")
    return LOOPBACK_NAMES | {name.strip() for name in names if name.strip()}


def is_known_host(request: web.Request) -> bool:
    """Say whether a request has an accepted `Host`; `*` among them allows any."""
    names = allowed_names()
    try:
        return "*" in names or urlsplit(f"//{request.host}").hostname in names
    except ValueError:
        return False


def is_own_page(request: web.Request) -> bool:
    """Say whether a request comes from one of our pages, or from no page."""
    origin = request.headers.get("Origin", f"http://{request.host}")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return origin == f"http://{request.host}" and site in OWN_SITE


def is_simple(request: web.Request) -> bool:
    """Say whether any page could send this body without a preflight request."""
    return request.can_read_body and request.content_type in SIMPLE_TYPES


@web.middleware
async def known_callers_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse an unknown `Host`, and a foreign page's request to change anything."""
    if not is_known_host(request):
        return _refusal(request, "This Host is not known here; see SANDBOX_ALLOWED_HOSTS.")
    if request.method not in SAFE_METHODS and not is_own_page(request):
        return _refusal(request, "A page of another origin may not do this.")
    return await handler(request)


def _refusal(request: web.Request, message: str) -> web.Response:
    """Return the refusal, as JSON for a program and as a page for a person."""
    if "text/html" not in request.headers.get("Accept", ""):
        return refusal(403, message)
    page = f'<!doctype html><html lang="en"><title>Refused</title><h1>Refused</h1><p>{message}</p>'
    return web.Response(text=page, status=403, content_type="text/html")


def refusal(status: int, message: str) -> web.Response:
    """Return a refusal in the format of Stripe's errors."""
    error = {"type": "invalid_request_error", "message": message}
    return web.json_response({"error": error}, status=status)
