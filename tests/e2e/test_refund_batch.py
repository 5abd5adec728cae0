"""The real processes refund an event that was called off, while they are killed at random."""

from __future__ import annotations

import pytest

from chaos.refund_batch import run


@pytest.mark.nightly
@pytest.mark.slow
def test_every_payment_is_refunded_once_though_everything_dies() -> None:
    outcome = run(payments=200, kills=6)
    assert outcome.broken == []
    assert sum(outcome.kills.values()) == 6
    assert outcome.pauses == 1
