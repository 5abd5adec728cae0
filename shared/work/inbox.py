"""The inbox: events received from Stripe, each processed exactly once in its effect.

    received ─> processing ─> processed | ignored
        ^           └─> retrying ─> … ─> dead ── redrive ─> received

Recording, scheduling and ringing are one atomic step. What an event means is settled in another,
in `shared/work/settlement.py`.
"""

from __future__ import annotations

from shared.settings import Settings
from shared.store.scripts import Store
from shared.stripe.event import Event
from shared.work.items import EVENTS, Claim, Recorded, Recording, Work
from shared.work.payments import entry
from shared.work.reconciliation import Reconciliation
from shared.work.settlement import finish_plan, settle


class Inbox:
    """Record events at the door, claim and settle them in the worker."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.work = Work(store, EVENTS, EVENTS.lease_ms(settings))
        self._settings = settings
        self._reconciliation = Reconciliation(store)
        self._retention_ms = settings.payment_retention_seconds * 1000

    def record(self, event: Event, body: str, *, source: str, **trace: str) -> Recorded:
        """Record an event that was verified, and ring for it; an id we know changes nothing.

        `source` is `webhook`, `reconcile` or `redrive`; `trace` (request_id, traceparent) goes
        with the event. Raises `Unavailable` when it is not certain that it was recorded.
        """
        if event.account:
            self._reconciliation.add_account(event.account)
        return self.work.record(self.recording(event, body, source=source, **trace))

    def recording(self, event: Event, body: str, *, source: str, **trace: str) -> Recording:
        """Say what is to be recorded of an event."""
        fields = {
            "type": event.type,
            "object": str(event.object.get("id") or ""),
            "payment_id": event.payment_id or "",
            "account": event.account or "",
            "api_version": event.api_version or "",
            "created": str(event.created),
            "source": source,
        }
        received = entry("event_received", event_id=event.id, type=event.type, source=source)
        return Recording(
            id=event.id,
            state="received",
            fields={k: v for k, v in (fields | trace).items() if v},
            max_waiting=self._settings.max_waiting_events,
            body=body,
            payment_id=event.payment_id,
            timeline=(received,),
            timeline_ms=self._retention_ms,
        )

    def ignore(self, claim: Claim, reason: str) -> bool:
        """Finish an event that nothing follows from; False when the claim was lost."""
        plan = finish_plan(claim, "ignored", {"reason": reason}, self._settings)
        outcome: str = settle(self.work.store, claim, plan, None)[0]
        return outcome == "settled"
