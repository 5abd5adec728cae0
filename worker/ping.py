"""`python -m worker.ping`: for health checks. Exit 0 when a worker on this host answers.

It is asked over the queue's own Redis, so that a worker which runs and no longer listens is ill.
"""

from __future__ import annotations

from socket import gethostname

ANSWER_SECONDS = 10


def main() -> None:
    """Ask the workers of this host, and wait for the first answer."""
    from worker.app import app

    inspection = app.control.inspect(
        pattern=f"*@{gethostname()}",
        matcher="glob",  # type: ignore[arg-type]  # the stubs know a function; it is a name
        limit=1,
        timeout=ANSWER_SECONDS,
    )
    if not inspection.ping():
        raise SystemExit(f"No worker on this host answered within {ANSWER_SECONDS} s.")


if __name__ == "__main__":
    main()
