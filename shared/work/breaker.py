"""The circuit breaker before the event service: an outage costs probes, not a storm of attempts.

It opens when many payments' notifications fail in a row with none getting through, so that one
notification the event service chokes on never holds the others up. While it is open one probe at
a time goes out, decided by the script that claims (`lua/claim.lua`); the first answer closes it,
a 2xx in the script that marks the delivery (`lua/release.lua`).
"""

from __future__ import annotations

from shared.store.scripts import Call, Store

# Different payments that must fail in a row: fewer could be one poison notification and chance.
THRESHOLD = 8
# Time between two probes; also how long after its recovery the event service waits for us.
PROBE_MS = 3_000
# An open breaker whose probes all get lost closes by itself.
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
        """Close: the event service answered, though it did not take the notification.

        Raises `Unavailable`.
        """
        keys = self._store.keys
        names = {"breaker": keys.breaker(), "failing": keys.failing(), "probe": keys.probe()}
        self._store.run(Call("close", names))
