"""Completion of `./billing` by real shells, with the script that `--show-completion` prints."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT

# The script's last answer is a call of a function that works only in zsh's line editor.
ASKED_IN = {
    "bash": """
%s
COMP_WORDS=(./billing refund-batch pau); COMP_CWORD=2
_billing_completion ./billing
echo "${COMPREPLY[@]}"
""",
    "zsh": """
compdef() { :; }
_arguments() { print -r -- "$@"; }
%s
words=(./billing refund-batch pau); CURRENT=3
_billing_completion
""",
}


@pytest.mark.parametrize("shell", ASKED_IN)
def test_a_shell_completes_the_command_as_it_was_typed(shell: str, tmp_path: Path) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} on this machine")

    def answer(text: str) -> str:
        process = subprocess.run(
            [path, "-c", text],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (process.returncode, process.stderr) == (0, "")
        return process.stdout

    # A shell that waits: the command looks for it among its parents.
    script = answer("./billing --show-completion; exit $?")
    assert "pause" in answer(ASKED_IN[shell] % script)
