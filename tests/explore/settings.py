"""The settings that the explorer searches."""

from __future__ import annotations

from tests.explore.batches import BatchCanceled, BatchOfTwo, BatchTurned, BatchWaits
from tests.explore.breaker import Breaker
from tests.explore.events import GivenUp, OneFactTwice, Redriven, TwoFacts
from tests.explore.idempotency import Idempotency
from tests.explore.refunds import Refunds, RefundsHeard

SETTINGS = (
    TwoFacts,
    OneFactTwice,
    Redriven,
    GivenUp,
    Refunds,
    RefundsHeard,
    Idempotency,
    Breaker,
    BatchOfTwo,
    BatchTurned,
    BatchCanceled,
    BatchWaits,
)
