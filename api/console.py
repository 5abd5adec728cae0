"""`GET /console` and `GET /docs`: two pages for a browser, served as they lie in `console/page/`.

They hold no data and are no part of the contract: their scripts ask the API, with its user's key.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import flask_openapi3_swagger
from flask import Blueprint, Response, redirect, send_from_directory
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

FOLDER = Path(__file__).resolve().parents[1] / "console" / "page"
CONSOLE_PAGE = "index.html"
DOCS_PAGE = "docs.html"
# What a browser insists on, whatever the machine's own table of types says.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Swagger UI, which reads the contract and lets a person try it.
SWAGGER = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
# What Stripe's objects carry was written by strangers, and the page holds a key that moves work:
# nothing but our own files runs, and nothing is sent elsewhere.
DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
# And no text can become an element, where a browser knows these. Swagger UI cannot do without.
TRUSTED_TYPES = ("require-trusted-types-for 'script'", "trusted-types 'none'")
POLICIES = {
    CONSOLE_PAGE: "; ".join((*DIRECTIVES, *TRUSTED_TYPES)),
    DOCS_PAGE: "; ".join(DIRECTIVES),
}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Kept, and asked for again each time: after a release no page runs with half its old files.
    "Cache-Control": "no-cache",
}
console = Blueprint("console", __name__)


@console.get("/console")
def page() -> Response:
    """Serve the console."""
    return _serve(FOLDER, CONSOLE_PAGE)


@console.get("/docs")
def docs() -> Response:
    """Serve the page on which the contract is read and tried."""
    return _serve(FOLDER, DOCS_PAGE)


@console.get("/console/")
def page_with_a_slash() -> AnyResponse:
    """Send the browser to the page: below a slash its relative addresses would lead nowhere."""
    return redirect("../console", 308)


@console.get("/console/<path:name>")
def asset(name: str) -> Response:
    """Serve a file that a page asks for; a page itself has its own address only."""
    if PurePosixPath(name).suffix == ".html":
        raise NotFound
    return _serve(FOLDER, name)


@console.get("/docs/<path:name>")
def swagger(name: str) -> Response:
    """Serve a file of Swagger UI."""
    return _serve(SWAGGER, name)


def _serve(folder: Path, name: str) -> Response:
    """Serve a file below a folder. Raises `NotFound` for a path outside it and for other types."""
    kind = TYPES.get(PurePosixPath(name).suffix)
    if kind is None:
        raise NotFound
    response = send_from_directory(folder, name, mimetype=kind)
    response.headers.update(HEADERS)
    response.headers["Content-Security-Policy"] = POLICIES.get(name, POLICIES[CONSOLE_PAGE])
    return response
