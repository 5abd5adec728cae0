"""A batch of refunds of which Redis lost everything while it ran."""

from __future__ import annotations

import pytest

from tests.integration import batching as b
from tests.integration.hands import Hands
from worker import reconcile, refund_batches


@pytest.mark.parametrize("terms", [{}, {"percent": 50}], ids=["all", "half"])
def test_a_new_batch_refunds_what_the_lost_one_did_not(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, terms: dict[str, int]
) -> None:
    payments = b.pay(hands, 3)
    lost = b.started(hands, event_id="evening", **terms)
    with monkeypatch.context() as slowly:
        slowly.setattr(refund_batches, "MOST_BEGUN", 1)
        refund_batches.run_once(hands.runtime)
    b.post(hands, lost, "pause")
    hands.work()
    assert sum(len(b.refunded(hands, one)) for one in payments) == 1
    hands.runtime.store.redis.flushall()
    assert hands.client.get(f"/api/refund/batches/{lost}").status_code == 404
    reconcile.run_once(hands.runtime)
    hands.work()

    again = b.started(hands, event_id="evening", **terms)
    assert b.run(hands, again)["state"] == "completed"
    amounts = [b.refunded(hands, one) for one in payments]
    if terms:  # a percentage is one of the amount received, so the new batch refunds as much again
        assert sorted(amounts) == [[500], [500], [500, 500]]
    else:
        assert amounts == [[1000]] * 3
