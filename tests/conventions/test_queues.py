"""Every kind of work has a queue, and every queue is consumed."""

import os
import subprocess
import sys

import pytest

from shared.setting_types import QUEUES
from shared.settings import Settings
from shared.work.kinds import KINDS
from tests.conventions.tracked import ROOT

QUESTION = """
from worker.app import app
for queue in app.amqp.queues.consume_from.values():
    print("queue", queue.name)
for task in app.tasks:
    print("task", task)
"""


@pytest.fixture(scope="module")
def answers():
    """Ask the Celery application in another process, because it reads the environment once."""
    environment = {
        "PATH": os.environ["PATH"],
        "STRIPE_SECRET_KEY": "sk_test_conventions",
        "STRIPE_WEBHOOK_SECRET": "whsec_conventions",
        "EVENT_SERVICE_URL": "http://127.0.0.1:9",
    }
    process = subprocess.run(
        [sys.executable, "-c", QUESTION],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(process.stdout.splitlines())


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_each_kind_of_work_has_a_task_and_a_consumed_queue(answers, kind):
    assert f"queue {kind.name}" in answers
    assert f"task {kind.task}" in answers


def test_the_setting_knows_every_queue_and_serves_them_all_by_default():
    assert sorted(QUEUES) == sorted(kind.name for kind in KINDS.values())
    assert Settings.model_fields["worker_queues"].default == QUEUES


def test_a_worker_consumes_no_queue_that_nobody_fills(answers):
    consumed = {line.removeprefix("queue ") for line in answers if line.startswith("queue ")}
    assert consumed == {kind.name for kind in KINDS.values()}
