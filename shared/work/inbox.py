"""The inbox: events received from Stripe, each processed exactly once in its effect.

    received ─> processing ─> processed | ignored
        ^           └─> retrying ─> … ─> dead ── redrive ─> received

Recording, scheduling and ringing are one atomic step. Another step, in `shared/work/settlement.py`,
settles the event's meaning.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.card_numbers import clean_json_text
from shared.keys import State
from shared.settings import Settings
from shared.store.scripts import Call, Store
from shared.stripe.event import Event
from shared.work.items import Recording, Work
from shared.work.kinds import EVENTS
from shared.work.payments import entry


class Inbox:
    """Record events that the API received; a worker claims and settles them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.work = Work(store, EVENTS, EVENTS.lease_ms(settings))
        self._settings = settings
        self._retention_ms = settings.payment_retention_seconds * 1000

    def record(self, event: Event, body: str, *, source: str, **trace: str) -> str:
        """Record a verified event and ring for it; return `recorded`, `known` or `full`.

        `source` is `webhook`, `reconcile` or `redrive`; `trace` (request_id, traceparent) is stored
        with the event. Raises `Unavailable` when it is uncertain whether it was recorded.
        """
        outcome: str = self.work.store.run_durably(self.recording(event, body, source, trace))[0]
        return outcome

    def recording(self, event: Event, body: str, source: str, trace: Mapping[str, str]) -> Call:
        """Prepare the script that records an event. Raises `CallerError` for an invalid id."""
        fields = {
            "type": event.type,
            "object": str(event.object.get("id") or ""),
            "payment_id": event.payment_id or "",
            "account": event.account or "",
            "api_version": event.api_version or "",
            "created": str(event.created),
            "source": source,
            "stripe_request_id": event.request_id or "",
        }
        received = entry("event_received", stripe_event_id=event.id, type=event.type, source=source)
        return self.work.recording(
            Recording(
                id=event.id,
                state=State.RECEIVED,
                fields={k: v for k, v in (fields | dict(trace)).items() if v},
                max_waiting=self._settings.max_waiting_events,
                body=clean_json_text(body),
                payment_id=event.payment_id,
                entry=received,
                timeline_ms=self._retention_ms,
            )
        )
