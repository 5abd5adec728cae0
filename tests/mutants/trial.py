"""Try tests on a changed copy of the tree, up to the first that fails.

Each try is a fork of this process, which has everything imported that is not ours: a try costs its
tests and little more.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a try may take before a mutant counts as one that hangs; the slowest file needs a minute.
LIMIT_SECONDS = 900.0
LOOK_SECONDS = 0.05
OURS = ("tests", "shared", "worker", "api", "sandbox", "local", "cli", "doctor", "chaos", "slow")
# In the order given; plugins are imported already.
SWITCHES = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:schemathesis"]
SWITCHES += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
HANGS = "does not end"


@dataclass(frozen=True)
class Verdict:
    """What became of a try: the tests that failed, and the seconds it took."""

    failed: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def killer(self) -> str:
        """Name the first that failed, '' if none did."""
        return self.failed[0] if self.failed else ""


class Failures:
    """A plugin of pytest that keeps the names of what failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep a test that failed, or its preparation."""
        if report.failed and report.nodeid not in self.names:
            self.names.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """Keep a file that cannot be read."""
        if report.failed:
            self.names.append(f"{report.nodeid} (import)")


@contextmanager
def copy_of_the_tree(folder: Path) -> Iterator[Path]:
    """Copy what is under version control, and what is about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = folder / "tree"
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    yield copy
    shutil.rmtree(copy)


def import_everything_foreign() -> None:
    """Import what the tests use, so that each fork has it."""
    import fakeredis  # noqa: F401 - each fork has it then
    import hypothesis  # noqa: F401 - each fork has it then

    import worker.upkeep  # noqa: F401 - each fork has it then


def tried(copy: Path, arguments: Iterable[str], log: Path) -> Verdict:
    """Run tests in a fork, as the arguments of pytest say."""
    began = time.monotonic()
    told = log.with_suffix(".killer")
    told.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            _be_the_try(copy, list(arguments), log, told)
        except BaseException:  # noqa: BLE001 - a fork that went on would be a second of us
            log.write_text(traceback.format_exc())
        finally:
            os._exit(pytest.ExitCode.INTERNAL_ERROR)
    ended = _wait(pid)
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, None):
        raise RuntimeError(f"pytest ended with {ended}:\n{log.read_text()}")
    failed = [HANGS] if ended is None else told.read_text().splitlines()
    return Verdict(tuple(failed), time.monotonic() - began)


def _wait(pid: int) -> int | None:
    """Wait for a fork, and give its status; None when it had to be killed with all it started."""
    until = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(LOOK_SECONDS)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _be_the_try(copy: Path, arguments: list[str], log: Path, told: Path) -> None:
    os.setsid()
    with log.open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    sys.path[:] = [str(copy), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    sys.dont_write_bytecode = True  # a change within a second of another would not be seen
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.chdir(copy)
    failures = Failures()
    status = pytest.main([*SWITCHES, *arguments], plugins=[failures])
    told.write_text("\n".join(failures.names))
    os._exit(int(status))
