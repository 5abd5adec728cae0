"""The results that an attempt at a claimed item can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.facts import Fact
from shared.keys import State
from shared.work.payments import PaymentRecord

LOST = "lost"


@dataclass(frozen=True)
class Established:
    """The facts that an attempt established about one payment, and the context it looked up.

    `record` is what was read of the payment before; `charge_id` is a charge of it.
    """

    payment_id: str
    facts: list[Fact]
    context: dict[str, str] = field(default_factory=dict)
    record: PaymentRecord | None = None
    charge_id: str | None = None


@dataclass(frozen=True)
class Done:
    """The item is finished: its last state, what is kept of it, what it established.

    `ended` names the refund job whose batch is to hear of what an event said of its refund.
    `outcome` is for the log and the metrics where the state does not say enough; `details` go into
    the attempt that is kept and into its log line. With `delay_seconds` it established something
    and waits, as `State.RETRYING`: it begins anew after the delay.
    """

    state: State
    outcome: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    established: Established | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    delay_seconds: float = 0.0
    ended: str = ""


@dataclass(frozen=True)
class Retry:
    """The attempt failed; the item is tried again after a delay."""

    reason: str
    delay_seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Snooze:
    """The item cannot be done yet: it is tried again after a delay, and no attempt is counted."""

    delay_seconds: float
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dead:
    """The item becomes a dead letter, which waits for a person."""

    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


Result = Done | Retry | Snooze | Dead


def outcome_of(result: Result) -> str:
    """Name a result for the log, the metrics and the attempt that is kept."""
    if isinstance(result, Done):
        return result.outcome or result.state.value
    return type(result).__name__.lower()
