"""A command whose output cannot be written says so in one line; one without a reader just ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from tempfile import TemporaryFile

import pytest

from shared.settings import Settings
from shared.store.scripts import Store
from tests.integration import batching as b
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.test_command_line import Billing, make_keys
from tests.servers import ROOT
from tests.warm import WarmPython

UNWRITTEN, UNREAD = 5, 141
FULL = (
    "The output could not be written (No space left on device). "
    "The command may have been carried out.\n"
)


@contextmanager
def full_disk() -> Iterator[int]:
    disk = os.open("/dev/full", os.O_WRONLY)
    yield disk
    os.close(disk)


@contextmanager
def closed_pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


ENDS = {full_disk: (UNWRITTEN, FULL), closed_pipe: (UNREAD, "")}


@pytest.fixture
def billing(settings: Settings, real_store: Store, python: WarmPython) -> Billing:
    """Run commands as an operator, with an API that requires keys."""
    door = open_door(settings.model_copy(update=make_keys()), real_store)
    return Billing(f"http://127.0.0.1:{door.application.wsgi_app.port}", python)


@pytest.mark.parametrize("output", ENDS)
@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "--show-completion bash",
        "refund-batch",
        "queues",
        "queues --json",
        "refund-batch list",
        "refund-batch report {batch}",
        "refund-batch report {batch} --json",
        "doctor --look-only",
    ],
)
def test_a_full_disk_is_one_line_of_error_and_a_closed_pipe_is_silent(
    hands: Hands,
    python: WarmPython,
    billing: Billing,
    command: str,
    output: Callable[[], AbstractContextManager[int]],
) -> None:
    batch = b.started(hands, payments=b.pay(hands, 2)) if "{batch}" in command else ""
    arguments = command.format(batch=batch).split()
    with output() as out, TemporaryFile("w+") as errors:
        status = python.start(
            *("-m", "cli", *arguments),
            environment=billing.environment,
            out=out,
            errors=errors.fileno(),
        ).wait()
        errors.seek(0)
        text = errors.read()
    assert (status, text) == ENDS[output]


def test_a_command_without_any_output_is_not_carried_out(billing: Billing) -> None:
    command = f'exec "{sys.executable}" -m cli notifications test >&-'
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=billing.environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == UNWRITTEN
    assert ended.stderr.startswith("The output could not be written (it is closed)")
    assert ended.stderr.count("\n") == 1
