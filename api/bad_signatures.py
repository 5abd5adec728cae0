"""A limit on webhooks whose signature does not hold."""

from __future__ import annotations

from api.refusal_limit import RefusalLimit


class BadSignatures(RefusalLimit):
    """Count badly signed webhooks by address; answer 429 instead of 400 above the limit."""

    def __init__(self, per_minute: int) -> None:
        detail = "Too many badly signed requests came from this address; try again later."
        super().__init__(per_minute, detail, "too_many_bad_signatures")
