"""What is known of a payment between two calls to Stripe: its last state and its timeline.

This is no ledger: Stripe is the truth about money, and all of this can be rebuilt from its events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.canonical_json import compact
from shared.store.scripts import TIMELINE_LIMIT, Call, Store
from shared.work.items import Work
from shared.work.kinds import NOTIFICATIONS

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
        """Read what is known; an unknown payment reads as revision 0 and empty.

        Raises `Unavailable`.
        """
        revision, known, updated = self._store.fields(
            self._store.keys.payment(payment_id), "revision", "known", "updated_at"
        )
        return PaymentRecord(
            id=payment_id,
            revision=revision or "0",
            known=json.loads(known) if known else {},
            updated_at_ms=int(updated) if updated else None,
        )

    def remember_charge(self, charge_id: str, payment_id: str) -> None:
        """Remember the payment intent of a charge; some events name the charge alone."""
        name = self._store.keys.intent_of(charge_id)
        self._store.put(name, payment_id, self._retention_ms // 1000)

    def intent_of(self, charge_id: str) -> str | None:
        """Name the payment intent of a charge, if an event told it."""
        return self._store.get(self._store.keys.intent_of(charge_id))

    def note(self, payment_id: str, kind: str, **details: Any) -> None:
        """Add an entry to the payment's timeline. Raises `Unavailable`."""
        names = {"timeline": self._store.keys.timeline(payment_id)}
        args = [compact(entry(kind, **details)), TIMELINE_LIMIT, self._retention_ms]
        self._store.run(Call("note", names, args))

    def timeline(self, payment_id: str) -> list[Json]:
        """List all that is known to have happened to a payment, oldest first.

        Requests, calls to Stripe, events (received, processed, ignored, late), refund jobs, and
        notifications with each delivery attempt. Raises `Unavailable`.
        """
        entries = self._store.entries(self._store.keys.timeline(payment_id))
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
        return sorted((with_time(item) for item in entries), key=lambda item: str(item["at"]))


def entry(kind: str, **details: Any) -> Json:
    """Build a timeline entry; None fields are left out, and the script that writes it dates it."""
    present = {name: value for name, value in details.items() if value is not None}
    return {"kind": kind} | present


def with_time(item: Json) -> Json:
    """Give an entry of a timeline, an audit or attempts with its time (`at`, RFC 3339, UTC)."""
    if "at_ms" not in item:
        return item
    rest = {name: value for name, value in item.items() if name != "at_ms"}
    return {"at": moment(item["at_ms"])} | rest


def moment(milliseconds: int | str) -> str:
    """Render a time of Redis's as RFC 3339 in UTC."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat(timespec="milliseconds")
