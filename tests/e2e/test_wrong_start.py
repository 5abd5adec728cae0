"""A start that fails says why in one sentence; the processes are the real ones."""

import asyncio
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from local.embedded_valkey import valkey_binary
from tests.e2e.running import PORTS
from tests.servers import ROOT, free_port, free_ports, process, wait_until
from tests.warm import python_of

OUTAGE_SECONDS = 15.0  # Celery tries again after 2, 4 and 6 s, upkeep every half second


def complaints(log: Path, name: str) -> list[str]:
    """List what a process says about a Redis that it cannot reach."""
    return [
        line
        for line in log.read_text().splitlines()
        if f" {name} " in line and ("connect" in line or "relay_failed" in line)
    ]


@pytest.mark.slow
@pytest.mark.nightly
def test_a_redis_that_is_not_there_yet_is_said_once_and_waited_for(tmp_path):
    port = free_port()
    variables = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True)) | {
        "DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "PATH": os.environ["PATH"],
    }
    log = tmp_path / "log"
    command = [sys.executable, str(ROOT / "app.py"), "--sandbox"]
    with process(*command, environment=variables, log=log):
        names = ("worker", "notifier", "upkeep")
        wait_until(lambda: all(complaints(log, name) for name in names), "each says it")
        time.sleep(OUTAGE_SECONDS)  # the kind of outage is the parameter
        assert "Redis does not answer yet" in log.read_text()
        assert "Traceback" not in log.read_text()
        for name in names:
            about = complaints(log, name)
            assert len(about) == 1, about
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with process(str(valkey_binary()), *options, log=tmp_path / "valkey.log"):
            wait_until(lambda: "is ready" in log.read_text(), "the service is ready")


STATES = (("sandbox", "SANDBOX"), ("sandbox.receiver", "RECEIVER"))


@pytest.mark.parametrize(("module", "name"), STATES)
def test_a_damaged_state_file_ends_the_process_with_what_to_do(module, name, tmp_path):
    state = tmp_path / "state"
    state.write_text("{garbage\n")
    variables = {f"{name}_PORT": "0", f"{name}_STATE": str(state)}
    process = python_of(module).run("-m", module, environment=variables)
    assert process.returncode == 2, process.stderr
    assert str(state) in process.stderr
    assert "Remove it" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("process_of", STATES)
@pytest.mark.parametrize("content", ["{garbage\n", "[]\n", '["thing", "a"]\n', "\x00\x01\n"])
def test_a_state_file_is_named_however_it_is_damaged(
    process_of, content, tmp_path, monkeypatch, capsys
):
    module, name = process_of
    state = tmp_path / "state"
    state.write_text(content)
    monkeypatch.setenv(f"{name}_PORT", "0")
    monkeypatch.setenv(f"{name}_STATE", str(state))
    with pytest.raises(SystemExit) as end:
        asyncio.run(import_module(f"{module}.__main__").serve())
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert str(state) in message
    assert "Remove it" in message


def test_a_line_that_a_kill_cut_off_is_no_damage(tmp_path):
    state = tmp_path / "receiver"
    state.write_text('{"id": "ntf_1", "type": "a.b", "bo')
    command = [sys.executable, "-m", "sandbox.receiver"]
    log = tmp_path / "log"
    variables = {"RECEIVER_PORT": "0", "RECEIVER_STATE": str(state)}
    with process(*command, environment=variables, log=log):
        wait_until(lambda: "listening on" in log.read_text(), "the receiver listens")
    assert state.read_text() == ""


def test_the_service_reads_the_settings_file_that_the_environment_names(tmp_path):
    settings = tmp_path / "settings.env"
    settings.write_text("STRIPE_SECRET_KEY=pk_test_of_a_browser\nOPERATER_KEYS=kim:a-key\n")
    variables = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data")}
    start = subprocess.run(
        [sys.executable, str(ROOT / "app.py")],
        cwd=tmp_path,
        env=variables | {"BILLING_ENV_FILE": str(settings)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert start.returncode == 2
    assert "STRIPE_SECRET_KEY is not valid" in start.stderr
    assert "OPERATER_KEYS is not a setting: do you mean OPERATOR_KEYS?" in start.stderr
