"""Imports of a process's start: what is not used is not imported."""

import signal
import subprocess
import sys

import pytest

from shared.lasting_imports import UNUSED, lasting_imports
from tests.conftest import NOTIFICATION_SECRET, SIGNING_SECRET
from tests.servers import ROOT

SETTINGS = {
    "STRIPE_SECRET_KEY": "sk_test_of_imports",
    "STRIPE_WEBHOOK_SECRET": SIGNING_SECRET,
    "EVENT_SERVICE_URL": "http://127.0.0.1:9",
    "EVENT_SERVICE_SECRET": NOTIFICATION_SECRET,
    "REDIS_URL": "redis://127.0.0.1:9/0",
}

# `python -m worker` imports its second part when it has read the settings.
MODULES = ("api.__main__", "worker.__main__", "worker.upkeep", "worker.flower")


def _python(words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", words],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_module_that_is_not_wanted_is_missing_in_the_block_alone() -> None:
    sys.modules.pop("colorsys", None)
    with lasting_imports(without=("colorsys",)), pytest.raises(ModuleNotFoundError):
        import colorsys
    import colorsys  # noqa: F401  # to import it is the test


def test_a_module_that_is_there_already_stays() -> None:
    with lasting_imports(without=("sys",)):
        import sys as again
    assert again is sys


# Presses Ctrl-C as the command line begins to import its commands.
CTRL_C = """
import os, signal, sys
class Finger:
    def find_spec(self, name, *_):
        if name == "cli.commands":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finger())
import cli.__main__
"""


def test_a_ctrl_c_before_a_command_begins_ends_it_without_a_traceback() -> None:
    process = _python(CTRL_C)
    assert (process.returncode, process.stdout, process.stderr) == (-signal.SIGINT, "", "")


def test_a_ctrl_c_later_is_the_commands_to_handle() -> None:
    words = "import cli.__main__, signal; print(signal.getsignal(signal.SIGINT).__name__)"
    process = _python(words)
    assert process.stdout == "default_int_handler\n", process.stderr


@pytest.mark.long
@pytest.mark.parametrize("module", MODULES)
def test_a_process_starts_without_what_it_does_not_use(module: str) -> None:
    words = f"import {module}, sys; print(*[name for name in {UNUSED!r} if name in sys.modules])"
    process = _python(words, env=SETTINGS)
    assert (process.returncode, process.stdout) == (0, "\n"), process.stderr
