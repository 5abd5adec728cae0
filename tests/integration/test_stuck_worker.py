"""A worker whose threads all hang reports it, and other workers do its work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shared.work.kinds import EVENTS, NOTIFICATIONS
from shared.work.liveness import alive
from tests.conftest import make_settings
from tests.integration.hands import Hands
from tests.servers import free_port, process, wait_until
from worker.jobs import JOBS
from worker.progress import Progress, longest_lease_seconds
from worker.relay import run_once
from worker.run import run

# A worker whose deliveries hang beyond every deadline, as in a call without one.
HANGING = """
import time, worker.delivery
worker.delivery.post = lambda *_: time.sleep(3600)
from worker.__main__ import main
main()
"""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_attempts_that_neither_begin_nor_end_are_stuck() -> None:
    clock = Clock()
    progress = Progress(60.0, clock)
    clock.now = 1000.0
    assert not progress.is_stuck()  # an idle worker has nothing to make progress with
    with progress.attempt():
        clock.now += 59
        assert not progress.is_stuck()
        with progress.attempt():  # another thread makes progress
            clock.now += 59
        clock.now += 59
        assert not progress.is_stuck()
        clock.now += 2
        assert progress.is_stuck()
    assert not progress.is_stuck()


def test_an_attempt_that_fails_is_over() -> None:
    clock = Clock()
    progress = Progress(60.0, clock)
    with pytest.raises(ZeroDivisionError), progress.attempt():
        raise ZeroDivisionError
    clock.now = 1000.0
    assert not progress.is_stuck()


def test_the_limit_is_the_longest_lease_of_the_queues_that_are_served() -> None:
    notifier = make_settings(worker_queues=("notifications",))
    assert longest_lease_seconds(notifier) == NOTIFICATIONS.lease_ms(notifier) / 1000
    assert longest_lease_seconds(make_settings()) > longest_lease_seconds(notifier)


def ping(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worker.ping"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_check_without_redis_fails_with_one_line() -> None:
    """The engine keeps the output of a health check, for the person who asks why it fails."""
    address = f"127.0.0.1:{free_port()}"
    check = ping(
        {
            "PATH": "/usr/bin:/bin",
            "REDIS_URL": f"redis://{address}/0",
            "WORKER_QUEUES": "notifications",
            "STRIPE_MODE": "test",
            "EVENT_SERVICE_URL": "http://127.0.0.1:9",
            "BILLING_ENV_FILE": "",
        }
    )
    assert check.returncode == 1
    (line,) = check.stderr.splitlines()
    assert line.startswith("Redis does not answer")
    assert address in line


@pytest.mark.nightly
def test_a_stuck_worker_says_so_and_others_do_its_work(hands: Hands, tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "REDIS_URL": str(hands.runtime.settings.redis_url),
        "STRIPE_MODE": "test",
        "EVENT_SERVICE_URL": hands.receiver,
        "EVENT_SERVICE_SECRET": hands.runtime.settings.event_service_secret[0].get_secret_value(),
        "EVENT_SERVICE_TIMEOUT_SECONDS": "0.1",
        "WORKER_QUEUES": "notifications",
        "BILLING_ENV_FILE": "",
    }
    store = hands.runtime.store
    hands.pay()
    hands.deliver_events("payment_intent.succeeded")
    run_events(hands)
    log = tmp_path / "log"
    with process(sys.executable, "-c", HANGING, environment=environment, log=log) as stuck:
        wait_until(lambda: alive(store).queues["notifications"], "it began")
        assert ping(environment).returncode == 0
        assert alive(store).stuck_processes() == []
        wait_until(lambda: alive(store).stuck_processes(), "it says that it is stuck")
        ill = ping(environment)
        assert ill.returncode == 1, ill.stderr
        assert "stuck" in ill.stderr
        queues = hands.client.get("/ops/queues").get_json()
        assert len(queues["stuck"]) == 1
        assert "billing_workers_stuck 1.0" in hands.client.get("/metrics").text
        run_once(store)  # upkeep runs
        workers = hands.client.get("/health/ready").get_json()["checks"]["workers"]
        assert "silent" in workers or "stuck" in workers
        assert "worker_stuck" in log.read_text()
        with process(sys.executable, "-m", "worker", environment=environment, log=log):

            def is_delivered() -> bool:
                run_once(store)
                return hands.notified_types() == ["payment.succeeded"]

            wait_until(is_delivered, "another worker delivers")
        stuck.kill()  # as an orchestrator does after the grace period


def run_events(hands: Hands) -> None:
    """Process events only, so that the notification waits for a worker."""
    for item in hands.runtime.store.redis.zrange(hands.runtime.store.keys.due(EVENTS), 0, -1):
        run(JOBS[EVENTS.name], hands.runtime, str(item))
