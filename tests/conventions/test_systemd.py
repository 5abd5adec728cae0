"""The systemd units: verified by systemd where it is installed, and checked by our rules."""

import re
import shutil
import subprocess
import sys

import pytest

from api.front import BACKLOG
from shared.processes import GUARDED, SECRETS_OF
from shared.setting_types import QUEUES
from shared.settings import Settings
from tests.conventions.tracked import ROOT

FOLDER = ROOT / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
SOCKET = FOLDER / "billing-api.socket"
README = (FOLDER / "README.md").read_text()


def options(unit):
    lines = re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE)
    return {name: [value for key, value in lines if key == name] for name, _ in lines}


def process_of(unit):
    return re.match(r"billing-(\w+)@?\.service", unit.name)[1]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze to ask")
@pytest.mark.parametrize("unit", [*UNITS, SOCKET], ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong(unit, tmp_path):
    # An instance with an existing Python: systemd would complain of a missing one.
    copy = tmp_path / unit.name.replace("@.", "@1.")
    text = unit.read_text().replace("/opt/billing/.venv/bin/python", sys.executable)
    copy.write_text(text.replace("PartOf=billing.target\n", ""))
    if unit == SOCKET:
        (tmp_path / "billing-api.service").write_text(f"[Service]\nExecStart={sys.executable}\n")
    process = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    about_it = [line for line in process.stderr.splitlines() if copy.name in line]
    assert about_it == []


def test_the_socket_is_the_address_of_the_api():
    defaults = Settings.model_fields
    address = f"{defaults['host'].default}:{defaults['port'].default}"
    assert options(SOCKET)["ListenStream"] == [address]
    assert options(SOCKET)["Backlog"] == [str(BACKLOG)]


def test_every_process_has_a_unit():
    assert {process_of(unit) for unit in UNITS} == set(SECRETS_OF) - {"sandbox", "receiver"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_given_its_own_file_and_is_locked_down(unit):
    values = options(unit)
    own = f"/etc/billing/{process_of(unit)}.env"
    files = [path.removeprefix("-") for path in values["EnvironmentFile"]]
    assert files == ["/etc/billing/common.env", own]
    assert "BILLING_ENV_FILE=" in values["Environment"]
    assert values["NoNewPrivileges"] == ["yes"]
    assert values["ProtectSystem"] == ["strict"]
    assert values["CapabilityBoundingSet"] == [""]
    assert values["UMask"] == ["0077"]
    assert values["MemoryMax"]
    assert values["RestartPreventExitStatus"] == ["2"]


def test_the_readme_says_what_each_file_holds():
    rows = dict(re.findall(r"^\| `(\w+)\.env` \| (.*) \|$", README, re.MULTILINE))
    for process, secrets in SECRETS_OF.items():
        if secrets and process not in ("sandbox", "receiver"):
            assert set(re.findall(r"`([A-Z_]+)`", rows[process])) == secrets
    assert not set(re.findall(r"`([A-Z_]+)`", rows["common"])) & GUARDED


def test_the_commands_are_those_of_the_procfile():
    procfile = (ROOT / "Procfile").read_text()
    commands = dict(
        re.findall(r"^(\w+): (?:env (?:\S+=\S+) )?python (.*)$", procfile, re.MULTILINE)
    )
    for unit in UNITS:
        (start,) = options(unit)["ExecStart"]
        module = " ".join(commands[process_of(unit)].split()[:2])
        assert start.startswith(f"/opt/billing/.venv/bin/python {module}")


def test_the_target_starts_all_but_flower_and_every_queue_is_served():
    target = (FOLDER / "billing.target").read_text()
    assert set(re.findall(r"billing-(\w+)", target)) == {"api", "worker", "notifier", "upkeep"}
    queues = [
        value.removeprefix("WORKER_QUEUES=")
        for unit in UNITS
        for value in options(unit).get("Environment", [])
        if value.startswith("WORKER_QUEUES=")
    ]
    assert sorted(",".join(queues).split(",")) == sorted(QUEUES)
