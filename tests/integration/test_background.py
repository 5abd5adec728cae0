"""Workers and upkeep have a lower processor priority than the processes that answer people."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.work.liveness import RELAY
from tests.integration.hands import Hands
from tests.servers import ROOT, process, wait_until
from worker.background import NICENESS

# Upkeep sweeps each half second.
SWEEPS_SECONDS = 1.2

STEP_BACK = "from worker.background import step_back; step_back()"


@pytest.mark.parametrize("module", ["worker", "worker.upkeep"])
def test_a_process_in_the_background_has_a_lower_priority(hands: Hands, module: str) -> None:
    settings = hands.runtime.settings
    environment = {
        "REDIS_URL": settings.redis_url,
        "STRIPE_SECRET_KEY": settings.stripe_secret_key.get_secret_value(),
        "STRIPE_API_BASE": str(settings.stripe_api_base),
        "EVENT_SERVICE_URL": settings.event_service_url,
        "WORKER_QUEUES": "events",
    }
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with process(sys.executable, "-m", module, environment=environment) as one:
        wait_until(
            lambda: os.getpriority(os.PRIO_PROCESS, one.pid) == min(19, usual + NICENESS),
            f"{module} steps back",
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_upkeep_ends_its_sweep_before_it_stops(
    hands: Hands, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "upkeep.log"
    environment = {
        "REDIS_URL": hands.runtime.settings.redis_url,
        "STRIPE_API_BASE": str(hands.runtime.settings.stripe_api_base),
        "BILLING_ENV_FILE": "",
    }
    command = [sys.executable, "-m", "worker.upkeep"]
    with process(*command, environment=environment, log=log) as upkeep:
        wait_until(lambda: "upkeep_started" in log.read_text(), "upkeep works")
        upkeep.send_signal(number)
        assert upkeep.wait(20) == 0
    assert "upkeep_stopped" in log.read_text()


@pytest.mark.parametrize(
    "surroundings",
    [
        pytest.param({"HEARTBEAT_FILE": "/proc/heartbeat"}, id="no heartbeat"),
        pytest.param(
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, id="a locale of ASCII"
        ),
    ],
)
def test_upkeep_rings_in_odd_surroundings(
    hands: Hands, tmp_path: Path, surroundings: dict[str, str]
) -> None:
    store, log = hands.runtime.store, tmp_path / "upkeep.log"
    environment = {
        "REDIS_URL": hands.runtime.settings.redis_url,
        "STRIPE_API_BASE": str(hands.runtime.settings.stripe_api_base),
        "BILLING_ENV_FILE": "",
    }
    command = [sys.executable, "-m", "worker.upkeep"]
    with process(*command, environment=environment | surroundings, log=log, cold=True) as upkeep:
        swept = store.keys.signs(RELAY)
        wait_until(lambda: upkeep.poll() or store.redis.exists(swept), "a sweep ended")
        time.sleep(SWEEPS_SECONDS)
        assert upkeep.poll() is None
    assert "Traceback" not in log.read_text()
    assert log.read_text().count("heartbeat_failed") == ("HEARTBEAT_FILE" in surroundings)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="no autogroups here")
def test_a_session_of_its_own_steps_back_too() -> None:
    """Otherwise the kernel divides time between sessions, and the priority has no effect."""
    before, after = _autogroups(start_new_session=True)
    if not before:
        pytest.skip("this kernel gives a session no autogroup")
    assert before.endswith("nice 0")
    assert after.endswith(f"nice {NICENESS}")


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="no autogroups here")
def test_the_session_of_a_shell_keeps_its_priority() -> None:
    before, after = _autogroups(start_new_session=False)
    assert after == before


def _autogroups(*, start_new_session: bool) -> tuple[str, str]:
    """Return the autogroup before and after a process lowers its priority; '' without one."""
    show = "print(open('/proc/self/autogroup').read().strip())"
    process = subprocess.run(
        [sys.executable, "-c", f"{show}; {STEP_BACK}; {show}"],
        cwd=ROOT,
        start_new_session=start_new_session,
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = process.stdout.splitlines()
    return before, after
