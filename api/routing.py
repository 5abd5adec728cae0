"""How ids in paths are told from verbs: `/api/payment/process` with GET is a wrong method."""

from __future__ import annotations

from werkzeug.routing import BaseConverter


class IdConverter(BaseConverter):
    """Match one path segment that is not the name of an action."""

    regex = r"(?!(?:process|verify|batches)(?:/|$))[^/]+"
