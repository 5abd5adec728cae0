"""A batch of refunds and its members: states, counts, amounts, progress."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.canonical_json import compact
from shared.refund_terms import Rate, Terms

Json = dict[str, Any]
RETRY_PREFIX = "retry:"


class BatchState(StrEnum):
    """The states of a batch."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELED = "canceled"


class MemberState(StrEnum):
    """The states of a member of a batch; `prelude.lua` numbers them in this order."""

    NOT_BEGUN = "not_begun"
    BEGUN = "begun"
    WAITING = "waiting"
    PENDING = "pending"
    REFUNDED = "refunded"
    FAILED = "failed"
    LEFT_OUT = "left_out"
    DEAD = "dead"
    LATE = "late"

    @property
    def number(self) -> int:
        """Return its number in the set of places."""
        return MEMBER_STATES.index(self)

    @property
    def retry(self) -> str:
        """Name the batch's field with the time (ms) until which such members are retried."""
        return f"{RETRY_PREFIX}{self}"


MEMBER_STATES = tuple(MemberState)
# Milliseconds of a delay that the pace makes up for: a late run of the duty, a busy machine.
BEHIND_MS = 1_000
OPEN = (MemberState.NOT_BEGUN, MemberState.BEGUN, MemberState.WAITING)
ENDED = (
    MemberState.PENDING,
    MemberState.REFUNDED,
    MemberState.FAILED,
    MemberState.LEFT_OUT,
    MemberState.DEAD,
)


@dataclass(frozen=True)
class Member:
    """A payment in a batch, with the amount and state of its refund.

    `n` is its number in the batch, `tries` the number of earlier tries, `job` the refund job of the
    latest try, `reason` why it is left out.
    """

    payment: str
    state: MemberState
    amount: int = 0
    currency: str = ""
    n: int = 0
    tries: int = 0
    job: str = ""
    reason: str = ""
    refund_id: str = ""
    failure_code: str = ""
    failure_message: str = ""
    ended_at: int | None = None

    @classmethod
    def of(cls, fields: Json) -> Member:
        """Read a member as it is kept."""
        return cls(**fields | {"state": MemberState(fields["state"])})

    def text(self, n: int) -> str:
        """Return the member as it is stored under its number, without empty fields."""
        fields = {name: value for name, value in vars(self).items() if value}
        return compact(fields | {"n": n, "tries": self.tries, "amount": self.amount})

    @property
    def sum_name(self) -> str:
        """Name the field of the batch with the sum of the amounts in this state."""
        return f"amount:{self.state}:{self.currency}"


@dataclass(frozen=True)
class BatchRecord:
    """A batch as its hash says."""

    id: str
    fields: dict[str, str]

    @property
    def state(self) -> BatchState:
        """Return its state."""
        return BatchState(self.fields["state"])

    @property
    def request(self) -> Json:
        """Return the request: the terms, `event_id`, `reason` and `metadata`."""
        terms: Json = json.loads(self.fields["terms"])
        return terms

    @property
    def terms(self) -> Terms:
        """Return its terms."""
        return Terms.of(self.request, self.fields.get("account", ""))

    @property
    def counts(self) -> dict[str, int]:
        """Count its members by state; every state is there."""
        return {str(state): int(self.fields.get(f"count:{state}", 0)) for state in MEMBER_STATES}

    def count(self, *states: MemberState) -> int:
        """Count its members in some states."""
        return sum(self.counts[state] for state in states)

    @property
    def total(self) -> int:
        """Count its members, without late ones."""
        return sum(self.counts.values()) - self.count(MemberState.LATE)

    @property
    def done(self) -> int:
        """Count the members that have ended; only an operator or a bank can still change them."""
        return self.count(*ENDED)

    @property
    def retries(self) -> dict[MemberState, str]:
        """Return the states whose members are to be refunded once more, with the times as kept.

        Failed members come before late ones: only they were counted as done.
        """
        return {
            MemberState(name.removeprefix(RETRY_PREFIX)): until
            for name, until in sorted(self.fields.items())
            if name.startswith(RETRY_PREFIX)
        }

    @property
    def amounts(self) -> dict[str, dict[str, int]]:
        """Sum its members' amounts by currency and within it by state, without zeros."""
        sums: dict[str, dict[str, int]] = {}
        for name, value in self.fields.items():
            if name.startswith("amount:") and int(value):
                _, state, currency = name.split(":")
                sums.setdefault(currency, {})[state] = int(value)
        return sums

    def open_amounts(self) -> dict[str, int]:
        """Sum by currency the amounts that have not left the balance yet."""
        return {
            currency: sum(by_state.get(state, 0) for state in OPEN)
            for currency, by_state in self.amounts.items()
        }

    @property
    def rates(self) -> dict[str, Rate]:
        """Return the settlement currency and the rate of each of its currencies."""
        by_currency = json.loads(self.fields.get("settles", "{}"))
        return {currency: Rate(*rate) for currency, rate in by_currency.items()}

    @property
    def missing(self) -> dict[str, int] | None:
        """Return the amounts that the balance lacked at the last check; None when unknown."""
        amounts: dict[str, int] | None = json.loads(self.fields.get("missing", "null"))
        return amounts

    def due_members(self, now_ms: int, pace_ms: float) -> int:
        """Count the members that may begin now, so that one begins every `pace_ms`.

        Up to `BEHIND_MS` of a delay are made up for.
        """
        paced_to = max(float(self.fields.get("paced_to", 0)), now_ms - BEHIND_MS)
        return max(0, int((now_ms - paced_to) / pace_ms))

    def per_second(self, now_ms: int) -> float | None:
        """Measure its rate since it was last resumed; None while it does not run."""
        ran_ms = now_ms - int(self.fields.get("resumed_at", now_ms))
        if self.state is not BatchState.RUNNING or ran_ms <= 0:
            return None
        count = self.done - int(self.fields.get("done_before", 0))
        return max(0, count) * 1000 / ran_ms


def settles(rates: dict[str, Rate]) -> str:
    """Return rates of currencies as a batch stores them (`BatchRecord.rates`)."""
    return compact({name: [one.currency, one.settled, one.amount] for name, one in rates.items()})
