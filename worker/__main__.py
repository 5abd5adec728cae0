"""`python -m worker`: one worker process, with the pool and options that measured fastest."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from shared.lasting_imports import lasting_imports

with lasting_imports():
    from celery.apps import worker as celery_worker
    from celery.signals import worker_shutting_down

    from shared.errors import Misconfigured
    from shared.refusal import refuse_start
    from shared.settings import Settings
    from shared.telemetry.logging import configure_logging, get_logger
    from worker import outage_log
    from worker.background import step_back

log = get_logger(__name__)


def main() -> None:
    """Serve the queues until SIGTERM; exit 2 and name every problem of the settings."""
    try:
        with lasting_imports():
            from worker.app import app, settings
    except Misconfigured as error:
        refuse_start("The worker", error)
    # Celery configures logging after it has connected to Redis; errors before that need ours.
    configure_logging(settings, "worker")
    step_back()
    outage_log.install()
    celery_worker.safe_say = _say_nothing  # type: ignore[attr-defined]  # the stubs lack it
    signals: list[str] = []
    note = partial(_note, signals)
    worker_shutting_down.connect(note)
    start: Callable[[list[str]], object] = app.start
    try:
        start(switches(settings))
    except Exception:
        log.exception("worker_failed")
    if not signals:
        log.critical(
            "worker_ended_unasked",
            detail="Celery ended without a signal; the log lines above say why.",
        )
        raise SystemExit(1)
    log.info("worker_stopped", signal=signals[-1])


def _say_nothing(*_: object) -> None:
    """Replace the function by which Celery prints plain text between lines of JSON at a stop."""


def _note(signals: list[str], sig: str = "", **_: object) -> None:
    signals.append(sig)


def switches(settings: Settings) -> list[str]:
    """Return the command line of Celery's worker."""
    return [
        "--quiet",  # no banner between the lines of JSON
        "worker",
        f"--hostname={_node(settings)}",
        "--pool=threads",
        f"--concurrency={settings.worker_concurrency}",
        f"--queues={','.join(settings.worker_queues)}",
        f"--loglevel={settings.log_level}",
        "--without-gossip",
        "--without-mingle",
    ]


def _node(settings: Settings) -> str:
    """Name this worker in Flower: by its queue if it serves only one, and by its process id."""
    role = settings.worker_queues[0] if len(settings.worker_queues) == 1 else "worker"
    return f"{role}-{os.getpid()}@%h"


if __name__ == "__main__":
    main()
