"""What is known of a payment between two calls to Stripe: its last state and its timeline.

This is no ledger: Stripe is the truth about money, and all of this can be rebuilt from its events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.canonical_json import compact
from shared.keys import key
from shared.store.scripts import TIMELINE_LIMIT, Store, redis_errors
from shared.work.items import NOTIFICATIONS, Work

Json = dict[str, Any]


@dataclass(frozen=True)
class PaymentRecord:
    """What is known of one payment; `revision` guards against deciding on an old reading."""

    id: str
    revision: str
    known: Json
    updated_at_ms: int | None

    @property
    def state(self) -> Json:
        """Give the last known state of the payment intent itself, or an empty dict."""
        found: Json = self.known.get("subjects", {}).get(self.id, {})
        return found


class Payments:
    """Read and annotate the payments we know of."""

    def __init__(self, store: Store, retention_seconds: int) -> None:
        self._store = store
        self._retention_ms = retention_seconds * 1000

    def read(self, payment_id: str) -> PaymentRecord:
        """Read what is known; an unknown payment reads as revision 0 and empty."""
        revision, known, updated = self._store.fields(
            key("payment", payment_id), "revision", "known", "updated_at"
        )
        return PaymentRecord(
            id=payment_id,
            revision=revision or "0",
            known=json.loads(known) if known else {},
            updated_at_ms=int(updated) if updated else None,
        )

    def note(self, payment_id: str, kind: str, **details: Any) -> None:
        """Add an entry to the payment's timeline."""
        name = key("payment", payment_id, "timeline")
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.rpush(name, compact(entry(kind, **details)))
            pipe.ltrim(name, -TIMELINE_LIMIT, -1)
            pipe.pexpire(name, self._retention_ms)
            pipe.execute()

    def timeline(self, payment_id: str) -> list[Json]:
        """Tell all that is known to have happened to a payment, oldest first.

        Requests, calls to Stripe, events (received, processed, ignored, late), refund jobs, and
        notifications with each delivery attempt.
        """
        entries = self._store.entries(key("payment", payment_id, "timeline"))
        deliveries = Work(self._store, NOTIFICATIONS)
        for staged in [item for item in entries if item["kind"] == "notification_staged"]:
            for attempt in deliveries.attempts(staged["notification_id"]):
                entries.append(
                    attempt
                    | {
                        "kind": "delivery_attempt",
                        "notification_id": staged["notification_id"],
                        "type": staged["type"],
                    }
                )
        return sorted(entries, key=lambda item: str(item["at"]))


def entry(kind: str, **details: Any) -> Json:
    """Build a timeline entry, stamped with the present moment; None fields are left out."""
    stamped: Json = {"at": datetime.now(UTC).isoformat(), "kind": kind}
    return stamped | {name: value for name, value in details.items() if value is not None}
