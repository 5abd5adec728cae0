"""`make demo` with the service that `make run` starts."""

import os
import subprocess
import sys

from tests.servers import ROOT


def test_the_demo_tells_the_whole_story_of_a_running_service(open_service):
    result = demo(DATA_DIR=str(open_service.log.parent / "data"))
    assert result.returncode == 0, (
        result.stdout + result.stderr + open_service.log.read_text()[-3000:]
    )
    for word in (
        "insufficient_funds",
        "the customer completes the challenge",
        "the event service received dispute.opened (signature valid)",
        "the event service received refund.succeeded (signature valid)",
        "delivery_attempt",
    ):
        assert word in result.stdout


def test_without_a_service_the_demo_says_what_to_start(tmp_path):
    result = demo(DATA_DIR=str(tmp_path), SANDBOX_PORT="9")
    assert result.returncode == 1
    assert "make run" in result.stderr
    assert "Traceback" not in result.stderr


def demo(**environment):
    return subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
