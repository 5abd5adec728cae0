"""Redis refuses writes or sleeps at each step of a batch, which then refunds each payment once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from api import idempotency
from doctor.examination import examine
from shared.errors import Unavailable
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.scripts import Store
from tests import servers
from tests.integration import batching as b
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.store_troubles import (
    OPTIONS,
    TROUBLES,
    Trouble,
    full,
    loading,
    read_only,
    troubled,
    unsaved,
    without_replicas,
)
from worker import refund_batches
from worker.runtime import Runtime

# What Redis itself says about each trouble in which it answers.
REFUSALS = {
    full: "OOM",
    without_replicas: "NOREPLICAS",
    read_only: "READONLY",
    unsaved: "MISCONF",
    loading: "LOADING",
}


@pytest.fixture
def own(settings: Settings, sandbox: str, receiver: str) -> Iterator[Hands]:
    """Run the service on a Valkey that only this test troubles."""
    with servers.valkey(*OPTIONS, cluster=False) as url:  # in cluster mode it refuses REPLICAOF
        ours = settings.model_copy(update={"redis_url": url, "redis_timeout_seconds": 0.3})
        with connect(ours, "tests") as client:
            store = Store(client)
            runtime = Runtime(ours, store)
            yield Hands(open_door(ours, store), runtime, sandbox, receiver)
            runtime.event_service.close()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_start_that_redis_refuses_is_repeated_under_its_key(
    own: Hands, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Redis that slept has taken the key for the first start, whose lease must end.
    monkeypatch.setattr(idempotency, "LEASE_MS", 1_000)
    payments = b.pay(own, 3)
    with troubled(own.runtime.store.redis, trouble):
        answer = b.start(own, key="k", payments=payments)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert REFUSALS.get(trouble, "unavailable") in answer.get_json()["detail"]
    servers.wait_until(
        lambda: b.start(own, key="k", payments=payments).status_code == 202, "the batch starts"
    )
    (batch,) = own.client.get("/api/refund/batches").get_json()["data"]
    assert b.run(own, batch["batch_id"])["counts"]["refunded"] == 3
    assert [b.refunded(own, one) for one in payments] == [[1000]] * 3


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_batch_is_carried_through_when_redis_refuses_each_of_its_steps(
    own: Hands, trouble: Trouble
) -> None:
    """Each route answers, upkeep gives up its run, and the next one goes on."""
    payments = b.pay(own, 3)
    batch = b.started(own, payments=payments)
    states = []
    for step in range(3):  # the refunds begin, they are made, and all is done
        with troubled(own.runtime.store.redis, trouble):
            with suppress(Unavailable):
                refund_batches.run_once(own.runtime)
            answers = [b.post(own, batch, "pause").status_code]
            answers.append(own.client.get(f"/api/refund/batches/{batch}").status_code)
            assert set(answers) <= {200, 409, 503}, (step, answers)
        states.append(b.look(own, batch)["state"])
        if states[-1] == "paused":
            assert b.post(own, batch, "resume").status_code == 200
        own.ring() if step % 2 else refund_batches.run_once(own.runtime)
    assert states == ["running", "running", "completed"]
    state = b.run(own, batch)
    assert (state["state"], state["counts"]["refunded"]) == ("completed", 3)
    assert [b.refunded(own, one) for one in payments] == [[1000]] * 3


@pytest.mark.parametrize(
    ("trouble", "what", "fix"),
    [
        (unsaved, "could not be saved: Redis refuses all writes (MISCONF)", "free its disk"),
        (loading, "Redis refuses: LOADING", "Wait until Redis has read its data"),
    ],
)
def test_the_doctor_says_why_redis_refuses(
    own: Hands, trouble: Trouble, what: str, fix: str
) -> None:
    def fixes() -> list[str]:
        findings = examine(own.runtime.settings)
        return [one.fix for one in findings if what in one.what and one.level == "error"]

    assert fixes() == []
    with troubled(own.runtime.store.redis, trouble):
        (advice,) = fixes()
        assert fix in advice
    assert fixes() == []


def test_the_console_says_that_redis_refuses_all_writes(own: Hands) -> None:
    with troubled(own.runtime.store.redis, unsaved):
        findings = own.client.get("/ops/queues").get_json()["store_findings"]
        assert [one["what"] for one in findings if "MISCONF" in one["what"]]
        own.runtime.store.redis.config_set("stop-writes-on-bgsave-error", "no")
        findings = own.client.get("/ops/queues").get_json()["store_findings"]
        assert not [one["what"] for one in findings if "MISCONF" in one["what"]]


READ = ("/health/ready", "/metrics", "/ops/queues", "/ops/audit", "/ops/find?text=pi_1")


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_door_says_that_redis_is_unavailable_and_none_fails(
    own: Hands, trouble: Trouble
) -> None:
    (payment,) = b.pay(own, 1)
    event = own.events()[-1] | {"id": "evt_new"}
    with troubled(own.runtime.store.redis, trouble):
        refund = {"payment_intent_id": payment}
        refusals = [
            own.post_event(event),
            own.pay(),
            own.client.post("/api/refund/process", json=refund),
            own.client.post("/ops/notifications/test", json={}),
            own.client.post("/ops/reconcile", json={}),
        ]
        assert [one.status_code for one in refusals] == [503] * len(refusals)
        assert all(int(one.headers["Retry-After"]) > 0 for one in refusals)
        assert {own.client.get(path).status_code for path in READ} <= {200, 503}
    assert b.refunded(own, payment) == []
