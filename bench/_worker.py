"""`python -m bench._worker EVENTS PREFETCH [POOL]`: our worker with other options.

It sets the options that `worker.app` fixes: task events `on` or `off`, the prefetch and the pool.
"""

from __future__ import annotations

import sys


def main(task_events: str, prefetch: str, pool: str = "threads") -> None:
    """Start the worker with these options."""
    from worker.__main__ import switches
    from worker.app import app, settings

    app.conf.worker_send_task_events = task_events == "on"
    app.conf.worker_prefetch_multiplier = int(prefetch)
    app.worker_main([*switches(settings), f"--pool={pool}"])


if __name__ == "__main__":
    main(*sys.argv[1:])
