"""A limit on webhooks with an invalid signature, checked before the signature is computed."""

from __future__ import annotations

from limits import RateLimitItemPerSecond

from api.refusal_limit import RefusalLimit

# Signatures still checked per second and address above the limit; 1 MB takes 1 ms to hash.
STILL_CHECKED = RateLimitItemPerSecond(20)


class BadSignatures(RefusalLimit):
    """Count badly signed webhooks by address; answer 429 instead of 400 above the limit.

    Webhooks of an address above the limit are refused before their signature is checked, except for
    a few per second. Stripe may come through the same proxy as a forger: webhooks of an address
    that has sent one good signature are always checked. So Stripe's events may be answered 429 only
    before its first good one, and Stripe sends those again.
    """

    def __init__(self, per_minute: int) -> None:
        detail = "Too many badly signed requests came from this address; try again later."
        super().__init__(per_minute, detail, "too_many_bad_signatures")
        # Its size is bounded by the addresses of Stripe and of proxies: a forger adds none.
        self._proven: set[str] = set()

    def admit(self, address: str) -> None:
        """Refuse an address above the limit before its signature is checked.

        Raises `CallerError` 429.
        """
        if address in self._proven or self._limiter.test(self._limit, address):
            return
        if not self._limiter.hit(STILL_CHECKED, address):
            raise self._refusal(address)

    def prove(self, address: str) -> None:
        """Note that a good signature has come from an address."""
        self._proven.add(address)
