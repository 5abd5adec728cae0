"""Schemathesis against the running service: no 5xx, and no undocumented answer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import Service, service

KEY = "key-for-the-contract-test"
# Examples for each operation; raise the number for a longer search.
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "12")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run the whole service with an API that requires keys."""
    folder = tmp_path_factory.mktemp("contract")
    with service(folder, API_KEYS=KEY, OPERATOR_KEYS=KEY, LOG_LEVEL="WARNING") as service_run:
        yield service_run


@pytest.mark.slow
@pytest.mark.long
def test_every_answer_is_a_documented_one(running: Service, tmp_path: Path) -> None:
    process = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{running.url()}/openapi.json",
            f"--header=Authorization: Bearer {KEY}",
            f"--checks={','.join(CHECKS)}",
            f"--max-examples={EXAMPLES}",
            "--generation-deterministic",
            "--request-timeout=35",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-8000:] + process.stderr[-2000:]
    generated = re.search(r"(\d+) generated", process.stdout)
    assert generated, process.stdout[-2000:]
    assert int(generated.group(1)) > 200
