"""The tests that share running servers run in one process, where these are started once."""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict

import pytest

from tests.groups import ABOUT_HTTP, GROUP_OF
from tests.servers import ROOT

FILES = ("tests/unit/test_schedule.py", "tests/unit/test_facts.py", "tests/unit/test_policy.py")


def test_the_files_of_each_group_exist() -> None:
    names = {*GROUP_OF, *ABOUT_HTTP}
    assert [file for file in names if not (ROOT / "tests" / file).is_file()] == []


@pytest.mark.long
def test_all_tests_of_a_file_run_in_one_process() -> None:
    result = subprocess.run(
        [ROOT / "bin" / "test", "-v", "-p", "no:cacheprovider", *FILES],
        env=os.environ | {"TEST_WORKERS": "2", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    processes = defaultdict(set)
    for process, file in re.findall(r"^\[(gw\d)\] .* (\S+\.py)::", result.stdout, re.MULTILINE):
        processes[file].add(process)
    assert set(processes) == set(FILES)
    assert {len(ones) for ones in processes.values()} == {1}
