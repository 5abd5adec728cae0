"""The outbox: notifications for the event service, in order within a payment.

    queued ─> processing ─> delivered
    waiting (behind an earlier one of its payment)   └─> retrying ─> …   or   dead

Only the first unfinished notification of each payment is scheduled. The script that marks it as
delivered or dead schedules the next one. Payments never wait for one another.
"""

from __future__ import annotations

import json
from typing import Any

from shared.canonical_json import compact
from shared.keys import State
from shared.settings import Settings
from shared.store.scripts import Call, Store
from shared.work.breaker import OPEN_MS
from shared.work.items import GUARD_MS, Claim, Work
from shared.work.kinds import NOTIFICATIONS
from shared.work.results import Dead, Done

Json = dict[str, Any]


class Outbox(Work):
    """Claim notifications and mark their outcome."""

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__(store, NOTIFICATIONS, NOTIFICATIONS.lease_ms(settings))
        self._tombstone_ms = settings.tombstone_retention_seconds * 1000

    def finish(self, claim: Claim, result: Done) -> bool:
        """Mark a notification as delivered and let the next of its payment go.

        False when the claim was lost. Raises `Unavailable`.
        """
        plan = self._plan(claim, State.DELIVERED, "", result.details)
        return self._release(claim, plan | {"state": State.DELIVERED})

    def bury(self, claim: Claim, result: Dead) -> bool:
        """Give a notification up, with its evidence, and let the next of its payment go.

        False when the claim was lost. Raises `Unavailable`.
        """
        plan = self._plan(claim, result.outcome, result.reason, result.details)
        return self._release(claim, plan | {"state": State.DEAD})

    def _release(self, claim: Claim, plan: Json) -> bool:
        plan |= {"tombstone_ms": self._tombstone_ms, "guard_ms": GUARD_MS, "open_ms": OPEN_MS}
        names = {**claim.names, **self.store.keys.of_payment(claim.fields["payment_id"])}
        return bool(self.store.run(Call("release", names, [self.kind.message, compact(plan)])))


def body(claim: Claim) -> str:
    """Return a notification's bytes as they are sent, with its sequence: stable over retries."""
    notification: Json = json.loads(claim.fields["body"])
    notification["sequence"] = int(claim.fields["sequence"])
    return compact(notification)
