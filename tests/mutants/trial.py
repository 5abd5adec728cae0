"""Run the explorer and tests on a changed copy of the files, until the first fails.

Each trial is a fork of this process, which has imported all foreign modules, so that a trial costs
little more than its tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Seconds after which a trial counts as hung; the slowest file of tests needs a minute.
LIMIT_SECONDS = 900.0
LOOK_SECONDS = 0.05
# CPU seconds for one configuration of the explorer, which finds most violations within two.
EXPLORER_SECONDS = 5.0
OURS = ("tests", "shared", "worker", "api", "sandbox", "local", "cli", "doctor", "chaos", "slow")
# Run tests in the given order; the plugins are imported already.
SWITCHES = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:schemathesis"]
SWITCHES += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
HANGS = "does not end"


@dataclass(frozen=True)
class Ground:
    """Where trials run: a copy of the files, and a file for the output of a trial."""

    copy: Path
    log: Path

    @property
    def killers_file(self) -> Path:
        """Return the file in which a trial names what failed, one per line."""
        return self.log.with_suffix(".failed")


class Failures:
    """A plugin of pytest that collects the names of failed tests."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect a test that failed, or whose set-up failed."""
        if report.failed and report.nodeid not in self.names:
            self.names.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """Collect a file that cannot be imported."""
        if report.failed:
            self.names.append(f"{report.nodeid} (import)")


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Copy the files that are under version control, and new ones that are not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = folder / "tree"
    for name in listing.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    yield Ground(copy, folder / "log")
    shutil.rmtree(copy)


def import_everything_foreign() -> None:
    """Import the modules that tests use, so that each fork has them."""
    import fakeredis  # noqa: F401 - imported before the forks
    import hypothesis  # noqa: F401 - imported before the forks

    import worker.upkeep  # noqa: F401 - imported before the forks


def tested(on: Ground, arguments: Iterable[str]) -> list[str]:
    """Run pytest with these arguments; name the tests that failed."""
    command_line = [*SWITCHES, *arguments]

    def run() -> list[str]:
        failures = Failures()
        status = pytest.main(command_line, plugins=[failures])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise RuntimeError(f"pytest ended with {status}")
        return failures.names

    return _in_a_fork(on, run)


def explored(on: Ground, parts: Iterable[str]) -> str:
    """Search the configurations whose names contain one of the parts; name the violation."""
    target = tuple(parts)

    def run() -> list[str]:
        from tests.explore.explorer import explore
        from tests.explore.settings import SETTINGS

        for kind in (one for part in target for one in SETTINGS if part in one.name):
            broken = _broken(lambda kind=kind: explore(kind, EXPLORER_SECONDS).violation)
            if broken:
                return [f"{broken.partition(':')[0]} in {kind.name}"]
        return []

    return next(iter(_in_a_fork(on, run)), "") if target else ""


def _broken(search: Callable[[], str]) -> str:
    """Name the broken invariant, or the error that ends the search."""
    try:
        return search()
    except Exception as error:  # noqa: BLE001 - an error in the explorer fails its test, too
        traceback.print_exc()
        return type(error).__name__


def _in_a_fork(on: Ground, run: Callable[[], list[str]]) -> list[str]:
    """Run a function in a fork that imports the modules of the copy; return its names."""
    on.killers_file.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _be_the_try(on, run)
    if not _ended(pid):
        return [HANGS]
    if not on.killers_file.exists():
        raise RuntimeError(f"a trial ended without a result:\n{on.log.read_text()}")
    return on.killers_file.read_text().splitlines()


def _ended(pid: int) -> bool:
    """Wait for a fork; return False when it had to be killed with its processes."""
    until = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(LOOK_SECONDS)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def _be_the_try(on: Ground, run: Callable[[], list[str]]) -> None:
    try:
        os.setsid()
        with on.log.open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
            del sys.modules[name]
        sys.path[:] = [
            str(on.copy),
            *(p for p in sys.path if Path(p or ".").resolve() != ROOT),
        ]
        # Otherwise a change within a second of another goes unnoticed.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        os.chdir(on.copy)
        on.killers_file.write_text("\n".join(run()))
    except BaseException:  # noqa: BLE001 - a fork must not continue as a second parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)
