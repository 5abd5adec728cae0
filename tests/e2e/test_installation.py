"""`bin/venv` and `bin/python`: the first start, with a Python whose pip is simulated.

The output of pip and its duration are parameters; the scripts are the real ones.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import ROOT

LISTS = ("requirements.txt", "requirements-sandbox.txt", "requirements-dev.txt")
SILENCE_SECONDS = 5.0  # seconds; after longer silence a start looks stuck
# A Python that makes a "virtual environment" containing itself, and installs by waiting.
PLAYED = f"""#!/usr/bin/env bash
case "$*" in
    *"-m venv"*) mkdir -p .venv/bin .venv/lib; cp "$0" .venv/bin/python ;;
    *"-m pip"*)
        echo "$@" >> pip-calls
        sleep "${{PIP_SECONDS:-0}}" & trap 'kill $!; exit 1' TERM; wait $!
        [ -z "${{PIP_FAILS:-}}" ] || {{ echo "ERROR: No matching distribution found"; exit 1; }}
        ;;
    *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin/venv", tmp_path / "bin")
    shutil.copy(ROOT / "bin/python", tmp_path / "bin")
    for name in LISTS:
        (tmp_path / name).write_text(f"{name.removesuffix('.txt')}==1.0\n")
    played = tmp_path / "played-python"
    played.write_text(PLAYED)
    played.chmod(0o755)
    return tmp_path


def environment(folder, **variables):
    return os.environ | {"PYTHON": str(folder / "played-python")} | variables


def install(folder, *what, **variables):
    return subprocess.run(
        ["bin/venv", *what],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def calls(folder):
    path = folder / "pip-calls"
    return path.read_text().splitlines() if path.exists() else []


def test_running_installs_what_running_needs_and_developing_the_rest(folder):
    assert install(folder, "run").returncode == 0
    assert install(folder, "run").stderr == "", "the second start does nothing"
    assert install(folder).returncode == 0
    assert install(folder).stderr == ""
    assert install(folder, "run").stderr == ""
    running, developing = calls(folder)
    assert [name in running for name in LISTS] == [True, True, False]
    assert [name in developing for name in LISTS] == [True, True, True]


def test_a_changed_list_is_installed_anew(folder):
    install(folder, "run")
    (folder / "requirements-sandbox.txt").write_text("another==2.0\n")
    install(folder, "run")
    assert len(calls(folder)) == 2


def test_a_change_of_the_tools_leaves_a_running_service_its_packages(folder):
    install(folder)
    marker = folder / ".venv" / "marker"
    marker.touch()
    (folder / "requirements-dev.txt").write_text("tool==2.0\n")
    assert install(folder, "run").stderr == ""
    assert install(folder).returncode == 0
    assert marker.exists(), "the folder was not wiped"


@pytest.mark.long
def test_progress_never_stands_still(folder):
    process = subprocess.Popen(
        ["bin/venv", "run"],
        cwd=folder,
        env=environment(folder, PIP_SECONDS="11"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    last, longest = time.monotonic(), 0.0
    with process.stderr as lines:
        for line in lines:
            assert line.strip()
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert process.wait() == 0
    assert longest < SILENCE_SECONDS


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_during_the_installation_says_so_and_the_next_start_goes_on(folder, stop):
    child, terminal = pty.fork()
    if child == 0:
        # A shell cannot trap a signal that was ignored at its start, as in a background job.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(folder)
        variables = environment(folder, PIP_SECONDS="60")
        os.execve("bin/venv", ["bin/venv", "run"], variables)  # noqa: S606  # our own script
    output = read_until(terminal, b"fetching")
    if stop == signal.SIGINT:
        os.write(terminal, b"\x03")  # what a person types
    else:
        os.kill(child, stop)
    output += read_until(terminal, b"start again to continue it")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    os.close(terminal)
    assert b"installing the packages failed" not in output
    assert install(folder, "run").returncode == 0


def read_until(terminal: int, text: bytes) -> bytes:
    """Read the terminal until it shows the text."""
    output = b""
    while text not in output:
        output += os.read(terminal, 1024)
    return output


def test_a_failed_installation_says_why_and_where_the_rest_is(folder):
    result = install(folder, "run", PIP_FAILS="1")
    assert result.returncode == 1
    assert "ERROR: No matching distribution found" in result.stderr
    assert ".venv/install.log" in result.stderr
    assert install(folder, "run").returncode == 0


@pytest.mark.parametrize(
    ("choice", "has_pip", "expected"),
    [("", True, "system"), ("", False, "path"), ("path/python3", True, "path")],
)
def test_of_equal_versions_the_distributions_python_is_taken_unless_one_is_named(
    folder, choice, has_pip, expected
):
    script = folder / "bin/venv"
    text = script.read_text()
    assert text.count("SYSTEM=/usr/bin\n") == 1
    script.write_text(text.replace("SYSTEM=/usr/bin\n", f"SYSTEM={folder}/system\n"))
    refusal = "" if has_pip else "*ensurepip*) exit 1 ;;"
    for place, name, cases in (
        ("path", "python3", ""),
        ("system", "python{}.{}".format(*sys.version_info), refusal),
    ):
        (folder / place).mkdir()
        python = folder / place / name
        python.write_text(PLAYED.replace("in\n", f"in # {place}\n{cases}\n", 1))
        python.chmod(0o755)
    path = f"{folder / 'path'}{os.pathsep}{os.environ['PATH']}"
    result = install(folder, "run", PATH=path, PYTHON=choice)
    assert result.returncode == 0, result.stderr
    assert f"in # {expected}\n" in (folder / ".venv/bin/python").read_text()


def test_without_a_python_that_has_the_packages_a_script_says_what_to_install(folder):
    bare = folder / "path"
    bare.mkdir()
    for tool in ("bash", "env"):
        (bare / tool).symlink_to(shutil.which(tool))
    (bare / "python3").write_text(f'#!/bin/bash\nexec {sys.executable} -S "$@"\n')
    (bare / "python3").chmod(0o755)
    process = subprocess.run(
        ["bin/python", "-c", ""],
        cwd=folder,
        env={"PATH": str(bare)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert re.search(r"pip install -r requirements\.txt", process.stderr)


@pytest.mark.parametrize("script", ["bin/stripe-events", "billing"])
def test_a_persons_scripts_find_the_python_that_was_installed_into(script, tmp_path):
    """As in the README for production: pip installs into another Python, and there is no .venv."""
    for name in ("bin", "cli", "doctor", "shared", "worker"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "billing", tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.run(
        [tmp_path / script, *(["--help"] if script == "billing" else [])],
        env={"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout
