"""Read the events Stripe recorded about one object, in the order they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.contract.client import Api
from tests.contract.side import Side


@dataclass(frozen=True)
class Diary:
    """Looks events up by the object they are about."""

    api: Api
    side: Side

    def about(self, subject: str) -> list[dict[str, Any]]:
        """Return the events that concern an object or what belongs to it, oldest first."""
        newest_first = self.api.find("/v1/events", {"limit": 100})["data"]
        return [e for e in reversed(newest_first) if _concerns(e["data"]["object"], subject)]

    def types(self, subject: str) -> list[str]:
        """Return only the types."""
        return [event["type"] for event in self.about(subject)]

    def tells(self, subject: str, *expected: str) -> list[dict[str, Any]]:
        """Wait until the expected events are there, then hold the whole story against them.

        Stripe's test mode gives no order within one second, so there only the set counts.
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
        """Return the newest event of a type, waiting for it."""

        def look() -> dict[str, Any] | None:
            of_type = [e for e in self.about(subject) if e["type"] == event_type]
            return of_type[-1] if of_type else None

        return self.side.eventually(look, f"{event_type} of {subject}")


def _concerns(thing: dict[str, Any], subject: str) -> bool:
    return subject in {thing.get("id"), thing.get("payment_intent"), thing.get("charge")}
