"""`python -m worker.ping`: for health checks. Exit 0 when a worker on this host gets on.

It is asked over the queue's own Redis, so that a worker which runs and no longer listens is ill.
One that answers, but none of whose threads got anywhere for longer than a lease, is ill as well.
"""

from __future__ import annotations

from socket import gethostname

ANSWER_SECONDS = 10


def main() -> None:
    """Ask the worker of this host; exit 1 when none answers in time, or the one that does is stuck.

    A container is a host with one worker; of several, the first to answer counts.
    """
    from worker.app import app

    answers = app.control.broadcast(
        "progress_of_worker",
        reply=True,
        pattern=f"*@{gethostname()}",
        matcher="glob",  # type: ignore[arg-type]  # the stubs know a function; it is a name
        limit=1,
        timeout=ANSWER_SECONDS,
    )
    if not answers:
        raise SystemExit(f"No worker on this host answered within {ANSWER_SECONDS} s.")
    for name, answer in answers[0].items():
        if answer.get("stuck"):
            raise SystemExit(f"{name} is stuck: none of its threads gets anywhere.")


if __name__ == "__main__":
    main()
