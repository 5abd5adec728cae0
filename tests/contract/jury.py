"""Validate everything that Stripe sent in a test: answers, their headers, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.contract.gaps import UNDOCUMENTED_ROUTES

if TYPE_CHECKING:
    from tests.contract.client import Api
    from tests.contract.oracle import Oracle
    from tests.contract.witness import Exchange, Witness

# Stripe's own limit for a page of a list.
LARGEST_PAGE = 100
# Violations shown for each test; the first ones explain the others.
MOST_SHOWN = 25


@dataclass
class Seat:
    """One watched Stripe, and the exchanges that have been validated."""

    witness: Witness
    api: Api
    judged_exchanges: int = 0
    newest_event: str | None = None


@dataclass
class Jury:
    """Has the description and the watched Stripes; counts the validated messages."""

    oracle: Oracle
    seats: list[Seat] = field(default_factory=list)
    answers: int = 0
    events: int = 0

    def attend(self, witness: Witness, api: Api) -> Seat:
        """Watch one more Stripe from now on, without its older events."""
        page = api.find("/v1/events", {"limit": 1})["data"]
        seat = Seat(witness, api, len(witness.exchanges), page[0]["id"] if page else None)
        self.seats.append(seat)
        return seat

    def verdict(self) -> list[str]:
        """Validate all new messages; return the violations."""
        complaints: list[str] = []
        for seat in self.seats:
            for event in self._new_events(seat):
                complaints += self._event(event)
            new = seat.witness.since(seat.judged_exchanges)
            seat.judged_exchanges += len(new)
            for exchange in new:
                complaints += self._answer(exchange)
        return list(dict.fromkeys(complaints))[:MOST_SHOWN]

    def _new_events(self, seat: Seat) -> list[dict[str, Any]]:
        operations: list[dict[str, Any]] = []
        while True:
            params: dict[str, Any] = {"limit": LARGEST_PAGE}
            if seat.newest_event:
                params["ending_before"] = seat.newest_event
            page = seat.api.find("/v1/events", params)["data"]
            if not page:
                return operations
            operations += page
            seat.newest_event = page[0]["id"]

    def _event(self, event: dict[str, Any]) -> list[str]:
        self.events += 1
        verdict = self.oracle.judge_event(event)
        return [f"event {event['type']}: {complaint}" for complaint in verdict.complaints]

    def _answer(self, exchange: Exchange) -> list[str]:
        if exchange.path.startswith("/_sandbox/") or exchange.path in UNDOCUMENTED_ROUTES:
            return []
        self.answers += 1
        complaints = _about_headers(exchange)
        version = exchange.headers.get("stripe-version", "")
        verdict = self.oracle.judge_answer(
            exchange.method, exchange.path, exchange.status, _without_events(exchange), version
        )
        is_undocumented = any(exchange.path.startswith(prefix) for prefix in UNDOCUMENTED_ROUTES)
        if verdict.judged_by is None and not is_undocumented:
            complaints.append("answered a route that Stripe does not document")
        complaints += verdict.complaints
        return [f"{exchange.label}: {complaint}" for complaint in complaints]


def _without_events(exchange: Exchange) -> Any:
    """Each event is validated once, and not again in every list that contains it."""
    body = exchange.json
    listing = exchange.path == "/v1/events" and exchange.status == 200
    return body | {"data": []} if listing else body


def _about_headers(exchange: Exchange) -> list[str]:
    complaints = []
    if not exchange.headers.get("request-id", "").startswith("req_"):
        complaints.append("no Request-Id")
    if exchange.status != 401 and "stripe-version" not in exchange.headers:
        complaints.append("no Stripe-Version")
    if not exchange.headers.get("content-type", "").startswith("application/json"):
        complaints.append(f"Content-Type {exchange.headers.get('content-type')}")
    key = next(
        (v for k, v in exchange.headers_sent.items() if k.lower() == "idempotency-key"), None
    )
    echoed = exchange.headers.get("idempotency-key")
    if exchange.method == "POST" and exchange.status == 200 and key != echoed:
        complaints.append(f"Idempotency-Key {key!r} came back as {echoed!r}")
    return complaints
