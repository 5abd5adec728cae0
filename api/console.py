"""`GET /console`: the operators' page. It holds no data: its script asks `/ops`, with their key.

Like `/docs` it is no part of the contract. The files in `console_page/` are served as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, redirect, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

FOLDER = Path(__file__).parent / "console_page"
PAGE = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# What Stripe's objects carry was written by strangers, and the page holds a key that moves work:
# nothing but our own files runs, nothing is sent elsewhere, and no text can become an element
# (`require-trusted-types-for`, where a browser knows it).
DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS = {
    "Content-Security-Policy": "; ".join(DIRECTIVES),
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Kept, and asked for again each time: after a release no page runs with half its old files.
    "Cache-Control": "no-cache",
}
console = Blueprint("console", __name__)


@dataclass(frozen=True)
class File:
    """A file of the page, as it is served."""

    body: bytes
    content_type: str
    etag: str


@cache
def files() -> dict[str, File]:
    """Read the page's files, by their path below `/console/`; no other path is ever opened."""
    found = {}
    for path in (path for path in FOLDER.rglob("*") if path.suffix in TYPES):
        body = path.read_bytes()
        etag = hashlib.sha256(body).hexdigest()[:32]
        found[path.relative_to(FOLDER).as_posix()] = File(body, TYPES[path.suffix], etag)
    return found


@console.get("/console")
def page() -> Response:
    """Serve the page."""
    return _serve(files()[PAGE])


@console.get("/console/")
def page_with_a_slash() -> AnyResponse:
    """Send the browser to the page: below a slash its relative addresses would lead nowhere."""
    return redirect("../console", 308)


@console.get("/console/<path:name>")
def asset(name: str) -> Response:
    """Serve a file that the page asks for."""
    found = files().get(name)
    if found is None or name == PAGE:
        raise NotFound
    return _serve(found)


def _serve(file: File) -> Response:
    response = Response(file.body, content_type=file.content_type)
    response.headers.update(HEADERS)
    response.set_etag(file.etag)
    response.make_conditional(request)
    return response
