"""Tools that are installed at their first use: processes that come at once install them once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import ROOT

# Makes what the real npm makes, slowly enough that others come meanwhile.
NPM = """#!/bin/sh
echo installed >> "$INSTALLATIONS"
sleep 0.5
mkdir -p node_modules
if [ "$1" = install ]; then
    mkdir -p "$3/node_modules/@stripe/cli-linux/bin"
    printf '#!/bin/sh\\n' > "$3/node_modules/@stripe/cli-linux/bin/stripe"
fi
"""
AT_ONCE = 3


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed")
@pytest.mark.parametrize("command", [["console-tools"], ["stripe-cli", "--where"]])
def test_processes_that_come_at_once_install_a_tool_once(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "console").mkdir()
    (tmp_path / ".cache").mkdir()
    script = shutil.copy(ROOT / "bin" / command[0], tmp_path / "bin")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "console" / name, tmp_path / "console")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("npm", NPM), ("node", "#!/bin/sh\necho v20\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    installations = tmp_path / "installations"
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "INSTALLATIONS": str(installations),
    }

    running = [
        subprocess.Popen([script, *command[1:]], env=environment, stdout=subprocess.DEVNULL)
        for _ in range(AT_ONCE)
    ]

    assert [process.wait(60) for process in running] == [0] * AT_ONCE
    assert installations.read_text().splitlines() == ["installed"]
