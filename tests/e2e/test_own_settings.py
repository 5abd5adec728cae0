"""Each process of a run has its own secrets only: planted ones are searched in all processes."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from shared.processes import GUARDED, SECRETS_OF
from tests.e2e.running import service

PLANTED = {
    "API_KEYS": "shop:planted-key-of-a-caller-7f3a",
    "OPERATOR_KEYS": "ann:planted-key-of-an-operator-91bc",
    "EVENT_SERVICE_SECRET": "whsec_cGxhbnRlZCBzZWNyZXQgb2Ygbm90aWZpY2F0aW9ucw==",
    "FLOWER_BASIC_AUTH": "planted-user:planted-password",
}
MODULES = {
    "api": "api",
    "worker": "worker",
    "upkeep": "worker.upkeep",
    "flower": "worker.flower",
    "sandbox": "sandbox",
    "receiver": "sandbox.receiver",
}


def processes_of(run: psutil.Process) -> dict[str, list[psutil.Process]]:
    """Group a run's processes, with children, by their names in the Procfile; Valkey, too."""
    by_name: dict[str, list[psutil.Process]] = {}
    for child in run.children():
        command = child.cmdline()
        if "-m" not in command:
            by_name["valkey"] = [child]
            continue
        module = command[command.index("-m") + 1]
        name = next(name for name, of in MODULES.items() if of == module)
        if child.environ().get("WORKER_QUEUES") == "notifications":
            name = "notifier"
        by_name[name] = [child, *child.children(recursive=True)]
    return by_name


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads the environment of processes")
def test_no_process_holds_what_is_anothers(tmp_path: Path) -> None:
    with service(tmp_path, **PLANTED) as running:
        run = next(
            process
            for process in psutil.Process().children()
            if process.status() != psutil.STATUS_ZOMBIE
            and process.environ().get("DATA_DIR") == str(tmp_path / "data")
        )
        by_name = processes_of(run)
        assert set(by_name) == {*SECRETS_OF, "valkey"}
        environments = {
            name: [Path(f"/proc/{process.pid}/environ").read_text() for process in processes]
            for name, processes in by_name.items()
        }
        assert len(environments["api"]) > 1, "the API's serving processes are looked at too"
        settings = (tmp_path / "data" / "run.env").read_text()
        assert running.pay("pm_card_visa").status_code == 401, "the planted keys are in use"
    secrets = PLANTED | {
        name: value
        for name, value in (line.split("=", 1) for line in settings.splitlines())
        if name in GUARDED
    }
    assert {"STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"} <= set(secrets)
    secrets["SANDBOX_WEBHOOK_SECRET"] = secrets["STRIPE_WEBHOOK_SECRET"]  # shared by both
    for name, texts in environments.items():
        own = SECRETS_OF.get(name, frozenset())
        own_values = {secrets[variable] for variable in own}
        for text in texts:
            assert all(secrets[variable] in text for variable in own), name
            words = [v for v, value in secrets.items() if value in text and value not in own_values]
            assert words == [], f"{name} holds {words}"
