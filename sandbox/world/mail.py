"""The outgoing events: deliveries to endpoints, disturbances, and listening sessions.

A delivery is a record of plain JSON, so that it survives a restart. `deliveries` creates them,
`postman` sends them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sandbox.world.changes import Changes
from sandbox.world.delivery_modes import DeliveryModes
from sandbox.world.event_losses import EventLoss
from sandbox.world.objects import Json


@dataclass
class Sink:
    """A receiver of every published event besides the endpoints: a `stripe listen` session."""

    secret: str
    put: Callable[[Json], None]
    thin: bool = False


UNDER_WAY: Final = "pending"


class Mail:
    """The deliveries by id, in order of creation, with modes and sinks.

    It stores all deliveries in progress, and the newest of those that ended.
    """

    def __init__(self, changes: Changes, keep: int) -> None:
        self.deliveries: dict[str, Json] = {}
        self.modes = DeliveryModes()
        self.sinks: list[Sink] = []
        self.losses: list[EventLoss] = []
        self._ended: dict[str, None] = {}
        self._changes = changes
        self._keep = keep

    def keep(self, record: Json) -> None:
        """Store a delivery that is new or has changed."""
        self.deliveries[record["id"]] = record
        self._changes.note("delivery", record["id"])
        if record["state"] != UNDER_WAY:
            self._ended[record["id"]] = None
        while len(self._ended) > self._keep:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self.deliveries[oldest]
            self._changes.note("delivery", oldest)

    def of_event(self, event_id: str) -> list[Json]:
        """Return all deliveries of an event, oldest first."""
        return [record for record in self.deliveries.values() if record["event"] == event_id]

    def forget(self) -> None:
        """Delete all deliveries and modes."""
        for delivery_id in self.deliveries:
            self._changes.note("delivery", delivery_id)
        self.deliveries.clear()
        self._ended.clear()
        self.modes = DeliveryModes()
        self.losses.clear()

    def load(self, records: dict[str, Json]) -> None:
        """Load deliveries, by id."""
        for record in records.values():
            self.keep(record)
