"""Read the events that Stripe recorded about one object, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.contract.client import Api
from tests.contract.side import Side


@dataclass(frozen=True)
class Diary:
    """Finds events by their object."""

    api: Api
    side: Side

    def about(self, subject: str) -> list[dict[str, Any]]:
        """Return the events about an object or its parts, oldest first."""
        newest_first = self.api.find("/v1/events", {"limit": 100})["data"]
        return [e for e in reversed(newest_first) if _concerns(e["data"]["object"], subject)]

    def types(self, subject: str) -> list[str]:
        """Return the types of these events."""
        return [event["type"] for event in self.about(subject)]

    def tells(self, subject: str, *expected: str) -> list[dict[str, Any]]:
        """Wait for the expected events, and compare all events with them.

        Stripe's test mode gives no order within one second, so there only the set is compared.
        """

        def complete() -> list[dict[str, Any]] | None:
            events = self.about(subject)
            missing = list(expected)
            for event in events:
                if event["type"] in missing:
                    missing.remove(event["type"])
            return events if not missing else None

        try:
            events = self.side.eventually(complete, f"events of {subject}")
        except AssertionError as late:
            raise AssertionError(f"{self.types(subject)} is not {list(expected)}") from late
        types = [event["type"] for event in events]
        if self.side.is_fake:
            assert types == list(expected)
        else:
            assert sorted(types) == sorted(expected)
        return events

    def last(self, subject: str, event_type: str) -> dict[str, Any]:
        """Wait for an event of a type; return the newest one."""

        def look() -> dict[str, Any] | None:
            of_type = [e for e in self.about(subject) if e["type"] == event_type]
            return of_type[-1] if of_type else None

        return self.side.eventually(look, f"{event_type} of {subject}")


def _concerns(thing: dict[str, Any], subject: str) -> bool:
    return subject in {thing.get("id"), thing.get("payment_intent"), thing.get("charge")}
