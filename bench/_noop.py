"""A Celery application with one task that does nothing, to measure the cost of Celery.

`python -m bench._noop SETTINGS TASK_EVENTS`, settings `ours` or `celery` (its defaults, late acks).
"""

from __future__ import annotations

import os
import sys

from celery import Celery

app = Celery("noop", broker=os.environ.get("REDIS_URL"))
app.conf.update(task_ignore_result=True, task_acks_late=True, task_default_queue="noop")


@app.task(name="noop")
def noop(event_id: str) -> None:
    """Do nothing."""


def main(settings: str, task_events: str) -> None:
    """Start a worker."""
    if settings == "ours":
        from worker.app import app as ours

        options = ours.conf.broker_transport_options
        # Its queue has the same name under both settings.
        app.conf.broker_transport_options = options | {"global_keyprefix": ""}
        app.conf.worker_prefetch_multiplier = ours.conf.worker_prefetch_multiplier
    app.conf.worker_send_task_events = task_events == "on"
    switches = ["--pool=threads", "--concurrency=8", "--loglevel=WARNING"]
    switches += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", *switches])


if __name__ == "__main__":
    main(*sys.argv[1:])
