"""Hold what is on its way out: deliveries to endpoints, disturbances, and who listens beside them.

A delivery is a record of plain JSON, so that it survives a restart. `deliveries` makes
them, `postman` sends them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.world.delivery_modes import DeliveryModes
from sandbox.world.objects import Json


@dataclass
class Sink:
    """Receive every published event beside the endpoints (a `stripe listen` session)."""

    secret: str
    put: Callable[[Json], None]
    thin: bool = False


class Mail:
    """Hold the deliveries by id, in order of creation, with modes and sinks."""

    def __init__(self) -> None:
        self.deliveries: dict[str, Json] = {}
        self.modes = DeliveryModes()
        self.sinks: list[Sink] = []

    def of_event(self, event_id: str) -> list[Json]:
        """Return all deliveries of an event, oldest first."""
        return [record for record in self.deliveries.values() if record["event"] == event_id]

    def forget_events(self, event_ids: set[str]) -> None:
        """Drop the deliveries of events that are no longer kept."""
        kept = self.deliveries.items()
        self.deliveries = {key: item for key, item in kept if item["event"] not in event_ids}

    def forget(self) -> None:
        """Drop all deliveries and modes."""
        self.deliveries.clear()
        self.modes = DeliveryModes()

    def dump(self) -> list[Json]:
        """Return the deliveries as plain JSON."""
        return list(self.deliveries.values())

    def load(self, state: list[Json]) -> None:
        """Take over deliveries that `dump` returned."""
        self.deliveries = {record["id"]: record for record in state}
