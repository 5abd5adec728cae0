"""Each kind of slowness of `bin/slow`, and the latency and errors that other callers see."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
import requests

from chaos.stage import Service, Stage, wait_until
from slow import troubles
from slow.probe import pay
from slow.relay import Relay
from slow.run import Trouble, probe, stage_with_relay
from tests.servers import PATIENCE_SECONDS

pytestmark = [pytest.mark.long, pytest.mark.slow]
# Seconds in which calls begin; the slowness lasts until all of these are answered.
SECONDS = 2.0
# Seconds on a busy machine; a quiet one needs a tenth. Without its protection each kind takes 8 s,
# or stops everything for 30 s.
QUICK_SECONDS = 5.0
# Probes that may be late or answered 503 while their peer is slow.
NEEDS_STRIPE = {"payment"}
NEEDS_REDIS = {"payment", "webhook", "metrics"}
ROWS: list[tuple[Trouble, set[str]]] = [
    (troubles.stripe_slow, NEEDS_STRIPE),
    (troubles.stripe_drips, NEEDS_STRIPE),
    (troubles.silent_sockets, set()),
    (troubles.half_heads, set()),
    (troubles.half_bodies, set()),
    (troubles.half_chunks, set()),
    (troubles.http2_prefaces, set()),
    (troubles.idle_keep_alive, set()),
    (troubles.redis_frozen, NEEDS_REDIS),
    (troubles.redis_slow, NEEDS_REDIS),
    (troubles.costly_texts, set()),
    (troubles.process_stopped, set()),
]
REDIS_ANSWER_SECONDS = 6.0


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Stage, Relay]]:
    with stage_with_relay() as stage:
        yield stage


@pytest.mark.parametrize(("trouble", "ill"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_whoever_is_slow_holds_nobody_up(
    service: tuple[Stage, Relay], trouble: Trouble, ill: set[str]
) -> None:
    stages = probe(*service, trouble, SECONDS)
    for name, stage in stages.items():
        assert stage.seconds, name
        if name not in ill:
            assert not stage.failures, (name, stage.failures)
            assert stage.p99 < QUICK_SECONDS, (name, str(stage))
    if ill is NEEDS_REDIS:
        # Stripe is answered 503 in time, so that it sends the event again.
        assert stages["webhook"].p99 < REDIS_ANSWER_SECONDS, str(stages["webhook"])


@pytest.fixture
def stage_and_redis() -> Iterator[tuple[Stage, Relay]]:
    with stage_with_relay() as stage:
        yield stage


@pytest.mark.parametrize(
    "trouble", [troubles.hung_up, troubles.terminated, troubles.terminal_closed]
)
def test_no_request_fails_when_the_service_is_replaced_or_stopped(
    stage_and_redis: tuple[Stage, Relay], trouble: Trouble
) -> None:
    stages = probe(*stage_and_redis, trouble, SECONDS)
    for name, stage in stages.items():
        assert stage.seconds, name
        assert not stage.failures, (name, stage.failures)


def serving(api: Service) -> list[psutil.Process]:
    """List the serving processes of the API: those without children."""
    family = psutil.Process(api.pid).children(recursive=True)
    return [one for one in family if one.is_running() and not one.children()]


def test_a_process_that_hangs_is_replaced_and_swallows_nothing(
    service: tuple[Stage, Relay],
) -> None:
    stage, _ = service
    api = stage.services["api"]
    wait_until(lambda: len(serving(api)) == 2, "both serve", PATIENCE_SECONDS)
    stopped = serving(api)[0]
    stopped.suspend()
    for _ in range(50):
        assert requests.get(f"{stage.api}/health", timeout=2).ok
    # Compared by start time, too: on a busy machine another process may get its number.
    wait_until(lambda: not stopped.is_running(), "it is ended", PATIENCE_SECONDS)
    wait_until(lambda: len(serving(api)) == 2, "another one serves", PATIENCE_SECONDS)
    assert requests.get(f"{stage.api}/health", timeout=2).ok


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGHUP, signal.SIGTERM)])
def test_what_has_begun_is_finished_when_the_service_is_stopped(
    stage_and_redis: tuple[Stage, Relay], numbers: tuple[signal.Signals, ...]
) -> None:
    stage, _ = stage_and_redis
    slow = {
        "match": {"method": "POST", "path_prefix": "/v1/payment_intents"},
        "phase": "after",
        "kind": "delay",
        "delay_seconds": 3,
        "times": None,
    }
    requests.post(f"{stage.sandbox}/_sandbox/faults", json=slow, timeout=5).raise_for_status()
    answers: list[int] = []
    payers = [
        threading.Thread(target=lambda: answers.append(pay(stage.api, "x").status_code))
        for _ in range(8)
    ]
    for payer in payers:
        payer.start()
    authorization = {"Authorization": "Bearer sk_test_chaos"}
    payments_url = f"{stage.sandbox}/v1/payment_intents?limit=100"
    wait_until(
        lambda: (
            len(requests.get(payments_url, headers=authorization, timeout=5).json()["data"])
            == len(payers)
        ),
        "Stripe has all of them in hand",
        PATIENCE_SECONDS,
    )
    for number in numbers:
        os.killpg(stage.services["api"].pid, number)
    for payer in payers:
        payer.join()
    assert answers == [200] * len(payers)
    wait_until(lambda: not stage.services["api"].alive, "the service ends", PATIENCE_SECONDS)
