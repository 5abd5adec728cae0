"""`python -m worker`: one worker process with the pool and the switches that were measured best."""

from __future__ import annotations

import os

from shared.errors import Misconfigured
from shared.refusal import refuse_start
from shared.settings import Settings


def main() -> None:
    """Serve the queues until SIGTERM; exit 2 with every problem of the settings named."""
    try:
        from worker.app import app, settings
    except Misconfigured as error:
        refuse_start("The worker", error)
    app.worker_main(switches(settings))


def switches(settings: Settings) -> list[str]:
    """Give the command line of Celery's worker."""
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
    """Name this worker for Flower: several on one host are several, and the notifier says so."""
    role = settings.worker_queues[0] if len(settings.worker_queues) == 1 else "worker"
    return f"{role}-{os.getpid()}@%h"


if __name__ == "__main__":
    main()
