"""Disturb deliveries for tests: doubled, late, out of order, dropped."""

from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from sandbox.world.objects import Json

DOUBLED_GAP_SECONDS: Final = 0.05
LATE_SECONDS: Final = 10.0
OUT_OF_ORDER_WINDOW_SECONDS: Final = 0.5
"""Seconds within which the events of one request are shuffled; they come within milliseconds."""
OUT_OF_ORDER_STEP_SECONDS: Final = 0.05
MODES: Final = ("doubled", "late", "out_of_order", "dropped")


@dataclass
class DeliveryMode:
    """Describe one disturbance: which events, how many of them, how."""

    mode: str
    types: list[str] = field(default_factory=lambda: ["*"])
    count: int | None = None
    delay_seconds: float | None = None
    used: int = 0

    def applies_to(self, event_type: str) -> bool:
        """Say whether the disturbance is still active and applies to this type."""
        if self.count is not None and self.used >= self.count:
            return False
        return any(fnmatchcase(event_type, pattern) for pattern in self.types)

    def delays(self) -> list[float]:
        """Return when to send: one delay for each copy, none for a dropped event."""
        position = self.used
        self.used += 1
        if self.mode == "dropped":
            return []
        if self.mode == "doubled":
            return [0.0, self.delay_seconds or DOUBLED_GAP_SECONDS]
        if self.mode == "late":
            return [self.delay_seconds or LATE_SECONDS]
        window = self.delay_seconds or OUT_OF_ORDER_WINDOW_SECONDS
        return [max(0.0, window - position * OUT_OF_ORDER_STEP_SECONDS)]


class DeliveryModes:
    """The active disturbances; the first that applies counts."""

    def __init__(self) -> None:
        self.active: list[DeliveryMode] = []

    def add(self, mode: DeliveryMode) -> None:
        """Activate a disturbance."""
        self.active.append(mode)

    def delays_for(self, event_type: str) -> list[float]:
        """Return the delays of the copies of an event: without a disturbance, one of 0."""
        for mode in self.active:
            if mode.applies_to(event_type):
                return mode.delays()
        return [0.0]

    def as_json(self) -> list[Json]:
        """Return the disturbances as JSON."""
        return [asdict(mode) for mode in self.active]
