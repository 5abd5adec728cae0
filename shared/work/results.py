"""The results that an attempt at a claimed item can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from shared.facts import Fact
from shared.keys import State
from shared.work.payments import PaymentRecord

LOST = "lost"


@dataclass(frozen=True)
class Established:
    """The facts that an attempt established about one payment, and the context it looked up.

    `record` is the state of the payment that was read before; `charge_id` is a charge of it, and
    `stripe_key` the idempotency key of our call that made or changed its intent, '' for none.
    """

    payment_id: str
    facts: list[Fact]
    context: dict[str, str] = field(default_factory=dict)
    record: PaymentRecord | None = None
    charge_id: str | None = None
    stripe_key: str = ""


@dataclass(frozen=True)
class Done:
    """The item is finished: its last state, the fields to store, and the facts it established.

    `ended` names the refund job whose batch needs the refund's new state from an event. `outcome`
    is for the log and the metrics when the state is not enough; `details` go into the stored
    attempt and its log line. With `delay_seconds` it established facts and waits as
    `State.RETRYING`: it starts again after the delay.
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

    outcome: ClassVar[str] = "retry"
    reason: str
    delay_seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Snooze:
    """The item cannot be finished yet: it is tried again later, and no attempt is counted."""

    outcome: ClassVar[str] = "snooze"
    delay_seconds: float
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dead:
    """The item becomes a dead letter, which needs an operator."""

    outcome: ClassVar[str] = "dead"
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


Result = Done | Retry | Snooze | Dead
