"""`python -m worker.ping`: a health check. Exit 0 when a worker on this host makes progress.

The question goes through the Redis of the queues, so a worker that runs but no longer reads them
fails the check. So does one that answers while none of its threads made progress for longer than
a lease.
"""

from __future__ import annotations

from socket import gethostname
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared.errors import Misconfigured

ANSWER_SECONDS = 10


def main() -> None:
    """Ask the worker of this host; exit 1 if none answers in time or the one that does is stuck.

    A container is a host with one worker; where there are several, the first answer counts.
    """
    try:
        answers = _ask()
    except (OperationalError, OSError, RedisError) as error:
        raise SystemExit(f"Redis does not answer: {error}") from None
    except Misconfigured as error:
        raise SystemExit(str(error)) from None
    if not answers:
        raise SystemExit(f"No worker on this host answered within {ANSWER_SECONDS} s.")
    for name, answer in answers[0].items():
        if answer.get("stuck"):
            raise SystemExit(f"{name} is stuck: none of its threads makes progress.")


def _ask() -> list[dict[str, Any]]:
    from worker.app import app

    return (
        app.control.broadcast(
            "progress_of_worker",
            reply=True,
            pattern=f"*@{gethostname()}",
            matcher="glob",  # type: ignore[arg-type]  # the stubs expect a function, Celery a name
            limit=1,
            timeout=ANSWER_SECONDS,
        )
        or []
    )


if __name__ == "__main__":
    main()
