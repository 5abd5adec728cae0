"""`python -m bench._worker EVENTS PREFETCH`: our worker with other switches than its own.

`bench._worker` sets what `worker.app` fixes: task events `on` or `off`, and the prefetch.
"""

from __future__ import annotations

import sys


def main(task_events: str, prefetch: str) -> None:
    """Start the worker with these switches."""
    import worker.__main__ as ours
    from worker.app import app

    app.conf.worker_send_task_events = task_events == "on"
    app.conf.worker_prefetch_multiplier = int(prefetch)
    ours.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
