"""The changes of state of a batch of refunds, and the notification of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.work.batch import OPEN, BatchRecord, BatchState, MemberState
from shared.work.batch_notification import COMPLETED, PAUSED
from shared.work.ceilings import Ceiling

# The field which says that the end of a canceled batch was notified.
CLOSED = "closed"


@dataclass(frozen=True)
class Turn:
    """A change of a batch's state, with its condition and its effects.

    `when` is a condition on the batch besides its state. `tells` is the type of the notification;
    `ends` gives the batch an expiry; `active`: upkeep has work to do for it. `counts` returns what
    more counts against the caller's ceilings; `audit` are entries of the audit log. `request` names
    the record of the caller's `Idempotency-Key`: the same request has its effect once.
    """

    start: tuple[str, ...]
    to: str
    when: Callable[[BatchRecord], bool] = lambda _: True
    fields: dict[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    resumes: bool = False
    tells: str | None = None
    ends: bool = False
    active: bool = True
    counts: Callable[[BatchRecord], Sequence[Ceiling]] = lambda _: ()
    audit: Sequence[str] = ()
    request: str = "none"


def is_through(batch: BatchRecord) -> bool:
    """Say whether every member has ended, and none is to be refunded once more."""
    return not batch.retries and not batch.count(*OPEN)


def _has_none_begun(batch: BatchRecord) -> bool:
    """Say whether a canceled batch has ended, and its end was not notified yet.

    Its state stays the same, so by its state alone a second upkeep, or a script that is sent twice,
    would notify the end again.
    """
    begun = batch.count(MemberState.BEGUN, MemberState.WAITING)
    return not begun and CLOSED not in batch.fields


PAUSE = Turn((BatchState.RUNNING,), BatchState.PAUSED, tells=PAUSED)
# A paused batch whose last refunds have ended has nothing left to begin: it is completed, too.
COMPLETE = Turn(
    (BatchState.RUNNING, BatchState.PAUSED),
    BatchState.COMPLETED,
    when=is_through,
    drop=("paused_reason", "missing", "look_at"),
    tells=COMPLETED,
    ends=True,
    active=False,
)
CANCEL = Turn(
    (BatchState.RUNNING, BatchState.PAUSED),
    BatchState.CANCELED,
    drop=("paused_reason", "missing", "look_at"),
)
END_CANCELED = Turn(
    (BatchState.CANCELED,),
    BatchState.CANCELED,
    when=_has_none_begun,
    fields={CLOSED: "1"},
    tells=COMPLETED,
    ends=True,
    active=False,
)
# Its fields name the states of the members to refund once more (`MemberState.retry`).
RETRY = Turn(
    (BatchState.RUNNING, BatchState.PAUSED, BatchState.COMPLETED),
    BatchState.RUNNING,
    drop=("paused_reason", "missing", "look_at"),
    resumes=True,
)
RESUME = Turn(
    (BatchState.PAUSED,),
    BatchState.RUNNING,
    fields={"wake": "1"},
    drop=("paused_reason", "missing", "look_at"),
    resumes=True,
)
