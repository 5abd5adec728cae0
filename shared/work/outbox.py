"""The outbox: notifications for the event service, in order within a payment.

    queued ─> processing ─> delivered
    waiting (behind an earlier one of its payment)   └─> retrying ─> …   or   dead

Of each payment only the first unfinished notification is scheduled. When it is delivered or dead
the script that says so schedules the next one. Payments never wait for one another.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from shared.canonical_json import compact
from shared.keys import key
from shared.settings import Settings
from shared.store.scripts import ATTEMPTS_LIMIT, Store
from shared.work.breaker import BREAKER, FAILING, PROBE
from shared.work.items import GUARD_MS, NOTIFICATIONS, Claim, Work

Json = dict[str, Any]


class Outbox:
    """Claim notifications and mark what became of them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.work = Work(store, NOTIFICATIONS, NOTIFICATIONS.lease_ms(settings))
        self._store = store
        self._tombstone_ms = settings.tombstone_retention_seconds * 1000

    def delivered(self, claim: Claim, **details: Any) -> bool:
        """Mark a notification as delivered and let the next of its payment go."""
        return self._release(claim, "delivered", "", claim.attempt("delivered", **details))

    def dead(self, claim: Claim, error: str, **details: Any) -> bool:
        """Give a notification up, with its evidence, and let the next of its payment go."""
        return self._release(claim, "dead", error, claim.attempt("dead", error=error, **details))

    def _release(self, claim: Claim, state: str, error: str, attempt: str) -> bool:
        kind = NOTIFICATIONS
        plan = {
            "id": claim.id,
            "fence": claim.fence,
            "state": state,
            "error": error,
            "attempt": attempt,
            "limit": ATTEMPTS_LIMIT,
            "tombstone_ms": self._tombstone_ms,
            "prefix": key(kind.item, ""),
            "guard_ms": GUARD_MS,
        }
        keys = [
            kind.key(claim.id),
            kind.due,
            kind.key(claim.id, "attempts"),
            key("payment", claim.fields["payment_id"], "outbox"),
            kind.queue,
            kind.dead,
            BREAKER,
            FAILING,
            PROBE,
        ]
        return bool(self._store.run("release", keys, [kind.message, compact(plan)]))


def body(claim: Claim) -> str:
    """Give the bytes of a notification as they are sent, with its sequence: stable over retries."""
    notification: Json = json.loads(claim.fields["body"])
    notification["sequence"] = int(claim.fields["sequence"])
    return compact(notification)


def age_seconds(claim: Claim) -> float:
    """Say how long ago the notification was staged, or given another life."""
    since = claim.fields.get("redriven_at", claim.fields["recorded_at"])
    return datetime.now(UTC).timestamp() - int(since) / 1000
