"""A limit on webhooks whose signature does not hold, which decides before anything is hashed."""

from __future__ import annotations

from limits import RateLimitItemPerSecond

from api.refusal_limit import RefusalLimit

# Webhooks that are hashed all the same, a second and address: a body of a megabyte takes 1 ms.
STILL_CHECKED = RateLimitItemPerSecond(20)


class BadSignatures(RefusalLimit):
    """Count badly signed webhooks by address; answer 429 instead of 400 above the limit.

    An address above the limit is refused before its signature is checked, but for a few a second.
    Stripe may come through the same proxy as a forger: an address from which one good signature has
    come is never refused before, so that of Stripe's events those before the first may be answered
    429, which it sends again, and none after it.
    """

    def __init__(self, per_minute: int) -> None:
        detail = "Too many badly signed requests came from this address; try again later."
        super().__init__(per_minute, detail, "too_many_bad_signatures")
        # Bounded by Stripe, and whoever is in front of us: a forger adds nothing.
        self._proven: set[str] = set()

    def admit(self, address: str) -> None:
        """Say before the check whether it is worth making. Raises `CallerError` 429."""
        if address in self._proven or self._limiter.test(self._limit, address):
            return
        if not self._limiter.hit(STILL_CHECKED, address):
            raise self._refusal(address)

    def prove(self, address: str) -> None:
        """Note that a good signature has come from an address."""
        self._proven.add(address)
