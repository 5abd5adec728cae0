"""The circuit breaker before the event service: an outage costs probes, not a storm of attempts.

It opens when notifications of many payments fail in a row and none succeeds, so that a single
notification that the event service cannot process never opens it. While it is open, the script that
claims (`lua/claim.lua`) lets one probe at a time through; the first answer closes the breaker, a
2xx in the script that marks the delivery (`lua/release.lua`).
"""

from __future__ import annotations

from shared.store.scripts import Call, Store

# Different payments that must fail in a row; fewer could be single failures by chance.
THRESHOLD = 8
# Milliseconds between two probes, and so the delay after the event service has recovered.
PROBE_MS = 3_000
# Milliseconds after which an open breaker closes by itself, in case its probes are lost.
OPEN_MS = 60_000


class Breaker:
    """Count failed deliveries, and close again after an answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def failed(self, payment_id: str) -> None:
        """Count a failure whose cause is the event service. Raises `Unavailable`."""
        keys = self._store.keys
        names = {"breaker": keys.breaker(), "failing": keys.failing()}
        self._store.run(Call("trip", names, [payment_id, THRESHOLD, OPEN_MS]))

    def answered(self) -> None:
        """Close the breaker: the event service answered, though it refused the notification.

        Raises `Unavailable`.
        """
        keys = self._store.keys
        names = {"breaker": keys.breaker(), "failing": keys.failing(), "probe": keys.probe()}
        self._store.run(Call("close", names))
