"""`./billing` and the demo, in another window, find the service that `make run` started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.running import service
from tests.servers import ROOT

KEYS = {"API_KEYS": "shop:key-of-another-window-7f3a", "OPERATOR_KEYS": "ann:operators-key-91bc"}


def bare(folder: Path) -> dict[str, str]:
    """Return the environment of a new window, with DATA_DIR only."""
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return variables | {"DATA_DIR": str(folder / "data"), "PYTHON": sys.executable}


@pytest.mark.slow
@pytest.mark.nightly
def test_the_tools_beside_a_run_use_its_keys_and_ports(tmp_path: Path) -> None:
    with service(tmp_path, **KEYS):
        for command in ([str(ROOT / "billing"), "queues"], [sys.executable, "-m", "local.demo"]):
            process = subprocess.run(
                command,
                cwd=ROOT,
                env=bare(tmp_path),
                capture_output=True,
                text=True,
                check=False,
                timeout=100,
            )
            assert process.returncode == 0, process.stdout + process.stderr
        wrong = bare(tmp_path) | {"OPERATOR_KEYS": "a-key-that-this-shell-names"}
        refusal = subprocess.run(
            [str(ROOT / "billing"), "queues"], env=wrong, capture_output=True, check=False
        )
        assert refusal.returncode != 0, "what the shell says goes first"
    assert not (tmp_path / "data" / "run.env").exists()
