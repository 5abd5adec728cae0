"""`python -m worker`: one worker process, with the pool and options that measured fastest."""

from __future__ import annotations

import os
from collections.abc import Callable

from shared.lasting_imports import lasting_imports

with lasting_imports():
    from shared.errors import Misconfigured
    from shared.refusal import refuse_start
    from shared.settings import Settings
    from shared.stopping import ignore_stops
    from shared.telemetry.logging import configure_logging, get_logger
    from worker import outage_log, warm_stop
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
    app.Worker = app.subclass_with_self(warm_stop.WarmWorker)  # type: ignore[misc]  # a cached property
    start: Callable[[list[str]], object] = app.start
    try:
        start(switches(settings))
    except Exception:
        log.exception("worker_failed")
    ignore_stops()
    if not warm_stop.signals:
        log.critical(
            "worker_ended_unasked",
            detail="Celery ended without a signal; the log lines above say why.",
        )
        raise SystemExit(1)
    log.info("worker_stopped", signal=warm_stop.signals[-1])


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
