"""Tell ids in paths from actions: `GET /api/payment/process` is a wrong method, no payment."""

from __future__ import annotations

from werkzeug.routing import BaseConverter


class IdConverter(BaseConverter):
    """Match one path segment that is not the name of an action."""

    regex = r"(?!(?:process|verify|batches)(?:/|$))[^/]+"
