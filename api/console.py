"""`GET /console` and `GET /docs`: two pages for a browser, served from `console/page/`.

The pages hold no data and are not part of the contract: their scripts call the API with the key
that the user enters.
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
# Media types that browsers require, whatever the machine's own table says.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Swagger UI, which reads the contract and lets a person try it.
SWAGGER = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
# Strangers write texts into Stripe's objects, and the page holds an operator's key: so only our own
# files may run, and the page sends nothing to other hosts.
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
# In browsers with trusted types no text can become an element. Swagger UI does not work with them.
TRUSTED_TYPES = ("require-trusted-types-for 'script'", "trusted-types 'none'")
POLICIES = {
    CONSOLE_PAGE: "; ".join((*DIRECTIVES, *TRUSTED_TYPES)),
    DOCS_PAGE: "; ".join(DIRECTIVES),
}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The browser checks each file again, so that no page runs with old files after a release.
    "Cache-Control": "no-cache",
}
console = Blueprint("console", __name__)


@console.get("/console")
def page() -> Response:
    """Serve the console."""
    return _serve(FOLDER, CONSOLE_PAGE)


@console.get("/docs")
def docs() -> Response:
    """Serve the page to read and try the contract."""
    return _serve(FOLDER, DOCS_PAGE)


@console.get("/console/")
def page_with_a_slash() -> AnyResponse:
    """Redirect to the page without the slash: below a slash its relative addresses are wrong."""
    return redirect("../console", 308)


@console.get("/console/<path:name>")
def asset(name: str) -> Response:
    """Serve a file of a page; the pages themselves have their own routes."""
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
