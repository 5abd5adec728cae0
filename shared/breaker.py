"""The circuit breaker before the event service: an outage costs probes, not a storm of attempts.

It opens when many payments' notifications fail in a row with none getting through, so that one
notification the event service chokes on never holds the others up. While it is open one probe at
a time goes out; the first answer closes it.
"""

from __future__ import annotations

from shared.store import Store, key
from shared.work import BREAKER

# Different payments that must fail in a row: fewer could be one poison notification and chance.
THRESHOLD = 8
# Time between two probes; also how long after its recovery the event service waits for us.
PROBE_MS = 3_000
# An open breaker whose probes all get lost closes by itself.
OPEN_MS = 60_000


class Breaker:
    """Ask whether a delivery may be tried, and tell how it went."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allows(self) -> bool:
        """Say whether to try: always while closed, once per probe interval while open."""
        return bool(self._store.run("probe", [BREAKER, key("breaker", "probe")], [PROBE_MS]))

    def failed(self, payment_id: str) -> bool:
        """Count a failure that speaks of the event service; True when the breaker is open now."""
        keys = [BREAKER, key("breaker", "failing")]
        return bool(self._store.run("trip", keys, [payment_id, THRESHOLD, OPEN_MS]))

    def answered(self) -> None:
        """Close: the event service answered."""
        self._store.run("close", [BREAKER, key("breaker", "failing"), key("breaker", "probe")], [])
